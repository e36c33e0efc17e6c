"""Reading a recording, whichever profiler wrote it."""

import gzip
import io
import zlib
from pathlib import Path

from speech_recognition.errors import InputError
from speech_recognition.files import read_input
from speech_recognition.profiling.calls import Profile
from speech_recognition.profiling.ncu import is_table, read_ncu
from speech_recognition.profiling.trace import read_trace

_LARGEST = 2**31
"""Largest trace, in bytes when unpacked; a step of `reference` on a GPU has about 50 MB."""

_ADVICE = "name a trace of torch.profiler (.json, .json.gz) or a table of ncu (.csv)"


def read_profile(path: Path) -> Profile:
    """Return the profile in a trace of torch's or a table of ncu's, recognised by its content.

    Raises InputError, which names the file, if it is neither, or has nothing in it.
    """
    content = read_input(path, _ADVICE, most_bytes=_LARGEST)
    if content.startswith(b"\x1f\x8b"):
        content = _unpacked(path, content)
    if content.lstrip()[:1] == b"{":
        return read_trace(path, content)
    if is_table(content):
        return read_ncu(path, content)
    if path.suffix == ".nsys-rep":
        raise InputError(f"{path}: a timeline of nsys; open it in Nsight Systems, or print it with nsys stats")
    raise InputError(f"{path}: neither a trace of torch.profiler nor a table of ncu; {_ADVICE}")


def _unpacked(path: Path, content: bytes) -> bytes:
    """Return the content of a gzip file. Raises InputError if it is damaged, or too large when unpacked."""
    try:
        with gzip.open(io.BytesIO(content)) as file:
            unpacked = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be unpacked ({error}); record it again") from None
    if len(unpacked) > _LARGEST:
        raise InputError(f"{path}: unpacks to over {_LARGEST} bytes; record fewer steps")
    return unpacked
