"""Reading and writing of 16 kHz mono 16-bit recordings; a file that is damaged or of any other form is refused."""

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

from speech_recognition.corpus.chunks import unclaimed_bytes
from speech_recognition.errors import InputError
from speech_recognition.files import open_regular
from speech_recognition.parameters import SAMPLE_RATE

WAV_HEADER_BYTES = 44
"""Size of the WAV header that the standard library's wave module writes."""

LONGEST_SECONDS = 3600
"""Longest recording that is accepted: a header that promises more is taken for damaged."""

_FLAC_HEADER_BYTES = 42
"""The marker fLaC (4 bytes), the first block's header (4) and its content, STREAMINFO (34)."""

_MEND = "restore it, or remove it with its transcript line"
"""Advice in errors about a source's FLAC file."""

_REMAKE = "make the dataset again"
"""Advice in errors about a WAV file of the processed dataset."""

_CONVERT = "convert it to 16 kHz, one channel, 16 bits"
"""Advice in errors about a recording whose rate, channels or bits are wrong."""


@dataclass(frozen=True)
class FlacHeader:
    """STREAMINFO of a FLAC file (RFC 9639, section 8.2), which its encoder wrote."""

    samples: int
    """Number of samples in each channel; 0 if the encoder did not know it."""
    rate: int
    """Sample rate in Hz."""
    channels: int
    """Number of channels, 1 to 8."""
    bits: int
    """Bits per sample, 1 to 32."""
    md5: bytes
    """MD5 of the samples as little-endian bytes; all zeros if the encoder did not compute it."""


def parse_flac_header(content: bytes, where: str) -> FlacHeader:
    """Return the checked STREAMINFO of a FLAC file.

    Raises InputError, its message beginning with `where`, if `content` is not FLAC or not 16 kHz
    mono 16-bit, or if its header promises no samples or more than LONGEST_SECONDS.
    """
    raw = content[:_FLAC_HEADER_BYTES]
    # The first block must be STREAMINFO (type 0); the highest bit of its type byte only marks the last block.
    if len(raw) < _FLAC_HEADER_BYTES or raw[:4] != b"fLaC" or raw[4] & 0x7F != 0:
        raise InputError(f"{where}: not a FLAC file; {_MEND}")
    # From the highest bit down: rate (20 bits), channels - 1 (3), bits per sample - 1 (5), samples (36).
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
            f"{where}: its header says {header.samples} samples, must be 1 to {LONGEST_SECONDS * SAMPLE_RATE}; {_MEND}"
        )
    return header


def _check_form(path: Path | str, rate: int, channels: int, bits: int) -> None:
    """Raise InputError unless a recording is 16 kHz mono 16-bit."""
    if rate != SAMPLE_RATE:
        raise InputError(f"{path}: {rate} Hz, must be {SAMPLE_RATE} Hz; {_CONVERT}")
    if channels != 1:
        raise InputError(f"{path}: {channels} channels, must be 1; {_CONVERT}")
    if bits != 16:
        raise InputError(f"{path}: {bits} bits per sample, must be 16; {_CONVERT}")


def decode_flac(content: bytes, where: str) -> NDArray[np.int16]:
    """Return the samples of a FLAC file as int16 [samples], checked against the length and MD5 in its header.

    Raises InputError, its message beginning with `where`, for the faults that `parse_flac_header` refuses, and
    if the file is truncated or damaged.
    """
    header = parse_flac_header(content, where)
    try:
        samples: NDArray[np.int16] = soundfile.read(io.BytesIO(content), dtype="int16")[0]
    except soundfile.LibsndfileError as error:
        raise InputError(f"{where}: truncated or damaged ({error.error_string}); {_MEND}") from None
    if header.samples != len(samples):
        raise InputError(f"{where}: truncated, {len(samples)} of {header.samples} samples; {_MEND}")
    # The header's MD5 is that of little-endian bytes, which is how x86-64 and ARM hold int16 in memory.
    if any(header.md5) and hashlib.md5(samples.data, usedforsecurity=False).digest() != header.md5:
        raise InputError(f"{where}: damaged, its samples do not match the MD5 in its header; {_MEND}")
    return samples


def write_wav(path: Path, samples: NDArray[np.int16]) -> None:
    """Write int16 [samples] as a 16 kHz mono WAV file: WAV_HEADER_BYTES of header, then only samples."""
    # Python's own writer: its header has no version or date in it, so the dataset's checksum depends on samples alone.
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def read_pcm(path: Path, expected_samples: int | None = None) -> NDArray[np.int16]:
    """Return the samples of a processed recording (a WAV file as `write_wav` writes it) as int16 [samples].

    `expected_samples` is the number in the manifest. Raises InputError if the file cannot be
    read, is not WAV, not 16 kHz mono 16-bit, is empty, truncated or longer than an hour, has
    bytes after its samples that no header accounts for, or does not have `expected_samples`.
    """
    with _opened(path) as file:
        promised = file.getnframes()
        content = file.readframes(promised)
    if len(content) != 2 * promised:  # wave returns what is there, without an error
        raise InputError(f"{path}: truncated, {len(content) // 2} of {promised} samples; {_REMAKE}")
    if expected_samples is not None and promised != expected_samples:
        raise InputError(f"{path}: {promised} samples, the manifest says {expected_samples}; {_REMAKE}")
    return np.frombuffer(content, dtype="<i2").astype(np.int16)


def count_samples(path: Path) -> int:
    """Return the number of samples in the header of a processed recording.

    Raises InputError for every fault that `read_pcm` refuses and the header alone shows.
    """
    with _opened(path) as file:
        return file.getnframes()


def _check_length(path: Path, promised: int, unclaimed: int) -> None:
    """Raise InputError unless a WAV header promises one sample to an hour, and accounts for every byte of the file."""
    if promised > LONGEST_SECONDS * SAMPLE_RATE:
        raise InputError(f"{path}: its header promises {promised} samples, more than an hour of audio; {_REMAKE}")
    if unclaimed:
        raise InputError(
            f"{path}: its header promises {promised} samples, after which {unclaimed} bytes are unaccounted for;"
            f" {_REMAKE}"
        )
    if promised == 0:
        raise InputError(f"{path}: no samples; {_REMAKE}")


@contextmanager
def _opened(path: Path) -> Iterator[wave.Wave_read]:
    """Yield an open WAV file with a checked header. Raises InputError for its faults, and for failing reads."""
    try:
        with open_regular(path) as content:
            unclaimed = unclaimed_bytes(content)
            content.seek(0)
            # libsndfile takes 20 times as long to open a short file.
            with wave.open(content) as file:
                _check_form(path, file.getframerate(), file.getnchannels(), 8 * file.getsampwidth())
                _check_length(path, file.getnframes(), unclaimed)
                yield file
    except (wave.Error, EOFError, RuntimeError):  # wave raises a bare RuntimeError on a seek out of a chunk
        raise InputError(f"{path}: not a PCM WAV file; {_REMAKE}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {_REMAKE}") from None
