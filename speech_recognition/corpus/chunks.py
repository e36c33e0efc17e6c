"""Bytes of a WAV, AIFF or AU file that its header leaves out: a reader that trusts the header would shorten it.

WAV and AIFF are chunks: a name of four characters, the size of the content, the content, a byte more if the size is
odd. One of them holds the samples. What follows it must be further chunks up to the file's end.
"""

import os
from typing import BinaryIO, Literal

_Order = Literal["little", "big"]

_SAMPLES = (b"data", b"SSND")

_UNKNOWN_SIZE = 0xFFFF_FFFF


def unclaimed_bytes(file: BinaryIO) -> int:
    """Return how many bytes after the samples belong to nothing; 0 for a file of a different form.

    Reads from the file's beginning.
    """
    end = os.fstat(file.fileno()).st_size
    file.seek(0)
    start = file.read(12)
    if start[:4] == b".snd" and len(start) == 12:
        offset, size = int.from_bytes(start[4:8], "big"), int.from_bytes(start[8:12], "big")
        return 0 if size == _UNKNOWN_SIZE else max(0, end - offset - size)
    if start[:4] == b"RIFF" and start[8:] == b"WAVE":
        return _after_samples(file, end, "little")
    if (start[:4] == b"RIFX" and start[8:] == b"WAVE") or (start[:4] == b"FORM" and start[8:] in (b"AIFF", b"AIFC")):
        return _after_samples(file, end, "big")
    return 0


def _after_samples(file: BinaryIO, end: int, order: _Order) -> int:
    position = file.tell()
    while True:
        file.seek(position)
        name, size = _chunk(file, order)
        position += 8 + size
        if position >= end:
            return 0  # cut in a chunk, or has no samples: others say so
        if name in _SAMPLES:
            break
        position += size % 2
    # Some programs leave the byte after an odd size out.
    return min(_unclaimed(file, start, end, order) for start in {position, position + size % 2})


def _unclaimed(file: BinaryIO, position: int, end: int, order: _Order) -> int:
    """Return the bytes from the first that begins no chunk; a single one at the end does not count."""
    while end - position > 1:
        file.seek(position)
        name, size = _chunk(file, order)
        whole = position + 8 + size
        if not (name.isascii() and name.decode("latin-1").isprintable()) or name in _SAMPLES or whole > end:
            return end - position
        position = whole + size % 2
    return 0


def _chunk(file: BinaryIO, order: _Order) -> tuple[bytes, int]:
    header = file.read(8)
    return header[:4], int.from_bytes(header[4:], order)
