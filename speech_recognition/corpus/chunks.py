"""Bytes of a WAV, AIFF, AU or Ogg file that its headers do not account for, and damaged pages of Ogg.

A recorder that was killed leaves a header with too small a length, and a reader that trusts the header loses the rest
of the recording without a word. WAV and AIFF files consist of chunks: a name of four characters, the size of the
content in 4 bytes, the content, and a padding byte if the size is odd. One chunk holds the samples; only whole chunks
may follow it. AU files have a header of offset and size instead, and nothing after the samples. Ogg files consist of
pages, the last of which is incomplete in a truncated file, and each of which has a checksum; libsndfile leaves out what
is incomplete or damaged without a word.
"""

import os
import zlib
from typing import BinaryIO, Literal

_Order = Literal["little", "big"]
"""Byte order of the sizes in a file's headers."""

_SAMPLES = (b"data", b"SSND")
"""Names of the chunk that holds the samples, in WAV and in AIFF."""

UNKNOWN_LENGTH = 0x7FFF_0000
"""Lowest length in a header, in bytes, that means "unknown": programs that write to a pipe cannot know the length."""

_UNKNOWN_SIZE = 0xFFFF_FFFF
"""Size in an AU header that was written before the length was known: the samples go on to the file's end."""


def unclaimed_bytes(file: BinaryIO) -> int:
    """Return the number of bytes after the samples that no header accounts for; 0 for a file of a different format.

    Seeks in `file`, which must be a file on disk, and leaves it at any position.
    """
    end = os.fstat(file.fileno()).st_size
    file.seek(0)
    start = file.read(12)
    if start[:4] == b".snd" and len(start) == 12:
        offset, size = int.from_bytes(start[4:8], "big"), int.from_bytes(start[8:12], "big")
        return 0 if size == _UNKNOWN_SIZE else max(0, end - offset - size)
    if start[:4] == b"OggS":
        return _after_pages(file, end)
    if start[:4] == b"RIFF" and start[8:] == b"WAVE":
        return _after_samples(file, end, "little")
    if (start[:4] == b"RIFX" and start[8:] == b"WAVE") or (start[:4] == b"FORM" and start[8:] in (b"AIFF", b"AIFC")):
        return _after_samples(file, end, "big")
    return 0


def _after_pages(file: BinaryIO, end: int) -> int:
    """Return the number of bytes of an Ogg file's incomplete last page; 0 if all pages are whole."""
    position = 0
    while position < end:
        file.seek(position)
        header = file.read(27)
        if not header.startswith(b"OggS"[: len(header)]):
            return 0  # a tag, which some programs append
        # A page's header ends in the number of its segments; a byte for the size of each follows.
        size = 27 + header[26] + sum(file.read(header[26])) if len(header) == 27 else 27
        if position + size > end:
            break
        position += size
    return end - position


def damaged_page(file: BinaryIO) -> int:
    """Return the number, from 1, of the first page of an Ogg file that fails its checksum; 0 if none does.

    libsndfile leaves such a page out without a word. Reads an Ogg file to its end, which takes about 1% of the time of
    decoding; leaves `file` at any position.
    """
    number, finished = 0, True
    file.seek(0)
    while (header := file.read(27)).startswith(b"OggS") and len(header) == 27:
        number += 1
        sizes = file.read(header[26])
        page = header[:22] + bytes(4) + header[26:] + sizes + file.read(sum(sizes))
        if _ogg_checksum(page) != int.from_bytes(header[22:26], "little"):
            return number
        finished = bool(header[5] & _END_OF_STREAM)
    # Some programs append a tag to the last page of a stream. After any other page, the start of the next is damaged.
    return 0 if finished or not header else number + 1


_END_OF_STREAM = 0x04
"""Flag of a stream's last page, in byte 5 of its header."""

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
"""Each byte with its bits in reverse."""


def _ogg_checksum(page: bytes) -> int:
    """Return the checksum of a page in which its own four bytes are zero (RFC 3533, section 6).

    zlib's CRC-32 has the same polynomial, but takes the bits of a byte in reverse, and inverts its value before and
    after.
    """
    value = zlib.crc32(page.translate(_REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int(f"{value:032b}"[::-1], 2)


def _after_samples(file: BinaryIO, end: int, order: _Order) -> int:
    """Return the number of unclaimed bytes after the samples. `file` is at the first chunk's beginning."""
    position = file.tell()
    while True:
        file.seek(position)
        name, size = _chunk(file, order)
        position += 8 + size
        if position >= end:
            return 0  # truncated, or without samples: the reader of the samples reports both
        if name in _SAMPLES:
            break
        position += size % 2
    # Some programs omit the padding byte after an odd size: the reading that explains more bytes is right.
    return min(_unclaimed(file, start, end, order) for start in {position, position + size % 2})


def _unclaimed(file: BinaryIO, position: int, end: int, order: _Order) -> int:
    """Follow the chunks from `position`; return the number of bytes from the first that is not a whole chunk to `end`.

    A single byte at the end may be padding and counts as 0.
    """
    while end - position > 1:
        file.seek(position)
        name, size = _chunk(file, order)
        whole = position + 8 + size
        # A second chunk of samples is audio that the reader would miss.
        if not (name.isascii() and name.decode("latin-1").isprintable()) or name in _SAMPLES or whole > end:
            return end - position
        position = whole + size % 2
    return 0


def _chunk(file: BinaryIO, order: _Order) -> tuple[bytes, int]:
    """Read a chunk's header; return its name and the size of its content."""
    header = file.read(8)
    return header[:4], int.from_bytes(header[4:], order)
