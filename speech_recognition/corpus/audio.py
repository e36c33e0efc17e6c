"""Reading recordings: 16 kHz, one channel, 16 bits, whole; anything else is refused."""

import hashlib
import io
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from params import SAMPLE_RATE
from speech_recognition.corpus.chunks import unclaimed_bytes
from speech_recognition.errors import InputError
from speech_recognition.files import open_regular

WAV_HEADER_BYTES = 44
"""Size of the header of a WAV file as the wave module writes it."""

LONGEST_SECONDS = 3600
"""A recording whose header promises more than this is taken for damaged."""

_FLAC_HEADER_BYTES = 42
"""The marker fLaC, a block header of 4 bytes, and STREAMINFO's 34."""

_FETCH = "fetch it again or remove it with its transcript line"
_REMAKE = "make the dataset again"
_CONVERT = "convert it to 16 kHz, one channel, 16 bits"


@dataclass(frozen=True)
class FlacHeader:
    """STREAMINFO of a FLAC file (RFC 9639, 8.2): what the encoder says of the recording.

    `md5` is that of the little-endian samples; all zeros if the encoder left it out.
    """

    samples: int
    rate: int
    channels: int
    bits: int
    md5: bytes


def parse_flac_header(content: bytes, where: str) -> FlacHeader:
    """Read and check the header of a FLAC file's content.

    Raises InputError, beginning with `where`, if it is no FLAC, not 16 kHz, one channel, 16 bits, or of no likely
    length.
    """
    raw = content[:_FLAC_HEADER_BYTES]
    if len(raw) < _FLAC_HEADER_BYTES or raw[:4] != b"fLaC" or raw[4] & 0x7F != 0:
        raise InputError(f"{where}: not a FLAC file; {_FETCH}")
    # 20 bits of rate, 3 of channels - 1, 5 of bits - 1, 36 of samples.
    packed = int.from_bytes(raw[18:26], "big")
    header = FlacHeader(
        samples=packed & (1 << 36) - 1,
        rate=packed >> 44,
        channels=(packed >> 41 & 7) + 1,
        bits=(packed >> 36 & 31) + 1,
        md5=raw[26:42],
    )
    _check_form(where, header.rate, header.channels, header.bits)
    if not 0 < header.samples <= LONGEST_SECONDS * SAMPLE_RATE:
        raise InputError(
            f"{where}: its header says {header.samples} samples, must be some, of an hour at most; {_FETCH}"
        )
    return header


def _check_form(path: Path | str, rate: int, channels: int, bits: int) -> None:
    if rate != SAMPLE_RATE:
        raise InputError(f"{path}: {rate} Hz, must be {SAMPLE_RATE} Hz; {_CONVERT}")
    if channels != 1:
        raise InputError(f"{path}: {channels} channels, must be 1; {_CONVERT}")
    if bits != 16:
        raise InputError(f"{path}: {bits} bits per sample, must be 16; {_CONVERT}")


def decode_flac(content: bytes, where: str) -> NDArray[np.int16]:
    """Samples of a FLAC file, checked against its own header's length and MD5.

    Raises InputError, beginning with `where`, as `parse_flac_header` does, and if the file is truncated or damaged.
    """
    header = parse_flac_header(content, where)
    try:
        samples: NDArray[np.int16] = soundfile.read(io.BytesIO(content), dtype="int16")[0]
    except soundfile.LibsndfileError as error:
        raise InputError(f"{where}: truncated or damaged ({error.error_string}); {_FETCH}") from None
    if header.samples != len(samples):
        raise InputError(f"{where}: truncated, {len(samples)} of {header.samples} samples; {_FETCH}")
    if any(header.md5) and hashlib.md5(samples.data, usedforsecurity=False).digest() != header.md5:
        raise InputError(f"{where}: damaged, its samples do not match the MD5 in its header; {_FETCH}")
    return samples


def write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    """Write samples as 16 kHz mono WAV: a header of WAV_HEADER_BYTES, then the samples, nothing else."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def read_pcm(path: Path, expected_samples: int | None = None) -> NDArray[np.int16]:
    """Samples of a processed recording (16 kHz, one channel, 16 bits, as `write_wav` writes it).

    The standard library's reader takes a twentieth of the time that libsndfile needs to open
    a short file. Raises InputError if the file cannot be read, is no WAV, has another form,
    is empty, truncated or over an hour long, has samples that its header leaves out, or does
    not have `expected_samples`, which is what the manifest says.
    """
    with _opened(path) as file:
        promised = file.getnframes()
        content = file.readframes(promised)
    if len(content) != 2 * promised:
        raise InputError(f"{path}: truncated, {len(content) // 2} of {promised} samples; {_REMAKE}")
    if expected_samples is not None and promised != expected_samples:
        raise InputError(f"{path}: {promised} samples, the manifest says {expected_samples}; {_REMAKE}")
    return np.frombuffer(content, dtype="<i2").astype(np.int16)


def count_samples(path: Path) -> int:
    """Samples that the header of a processed recording promises. Raises InputError as `read_pcm` does of a header."""
    with _opened(path) as file:
        return file.getnframes()


def _check_length(path: Path, promised: int, unclaimed: int) -> None:
    if promised > LONGEST_SECONDS * SAMPLE_RATE:
        raise InputError(f"{path}: its header promises {promised} samples, more than an hour has; {_REMAKE}")
    if unclaimed:
        raise InputError(
            f"{path}: its header promises {promised} samples, after which {unclaimed} bytes belong to nothing;"
            f" {_REMAKE}"
        )
    if promised == 0:
        raise InputError(f"{path}: no samples; {_REMAKE}")


@contextmanager
def _opened(path: Path) -> Iterator[wave.Wave_read]:
    try:
        with open_regular(path) as content:
            unclaimed = unclaimed_bytes(content)
            content.seek(0)
            with wave.open(content) as file:
                _check_form(path, file.getframerate(), file.getnchannels(), 8 * file.getsampwidth())
                _check_length(path, file.getnframes(), unclaimed)
                yield file
    except (wave.Error, EOFError, RuntimeError):
        raise InputError(f"{path}: not a PCM WAV file; {_REMAKE}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_REMAKE}") from None
