"""A tar archive, member by member, in the forms ustar, pax and GNU.

Python's tarfile takes the first header that it cannot read for the end of the archive, and says nothing. Here every
byte belongs to a member or to the zeros at the end; an archive in which one does not is refused. Nothing expands:
a member is as large as its share of the stream, and sparse members are not read.
"""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from speech_recognition.errors import InputError

_BLOCK = 512

_CHUNK_BYTES = 1 << 20

_LARGEST_EXTENSION = 1 << 20
"""Bytes of a long name or of a pax header: it is held in memory."""

_LONG_NAME, _LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
_PAX, _PAX_OF_ALL = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE), tarfile.XGLTYPE
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_SPARSE = b"GNU.sparse"
"""How the pax keys of a sparse member begin."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A member: a regular file of `size` bytes, a folder, or neither (a link, a device, a sparse file ...)."""

    name: str
    size: int
    is_file: bool
    is_folder: bool


class TarReader:
    """Iterates over the entries of a tar stream; `read` returns the content of the entry that came last.

    Raises InputError, beginning with `where`, for a header that is damaged, for an archive that ends early, and
    for anything but zeros after its end.
    """

    def __init__(self, stream: io.BufferedIOBase, where: str) -> None:
        self._stream, self._where = stream, where
        self._position = 0
        self._end = 0  # of the content that the last header announced, with its padding

    def __iter__(self) -> Iterator[Entry]:
        name: str | None = None
        records: dict[bytes, bytes] = {}
        complete = True
        while (header := self._next_header()) is not None:
            complete = False
            if header.type == _LONG_NAME:
                name = _text(self._extension(header).partition(b"\0")[0])
            elif header.type == _LONG_LINK:
                self._extension(header)
            elif header.type in _PAX:
                records |= self._pax_records(header)
            elif header.type == _PAX_OF_ALL:
                if self._pax_records(header):
                    raise self._damaged("one path or size for all members")
            else:
                yield self._entry(header, name, records)
                name, records, complete = None, {}, True
        if not complete:
            raise self._damaged("ends in the middle of a member")

    def read(self, size: int) -> bytes:
        """Return the content of the entry that came last; `size` is the entry's."""
        content = self._stream.read(size)
        self._position += len(content)
        if len(content) < size:
            raise self._damaged("truncated")
        return content

    def _next_header(self) -> tarfile.TarInfo | None:
        """Return the next header; None at the archive's end, which has then been read and checked."""
        while self._position < self._end:
            self.read(min(self._end - self._position, _CHUNK_BYTES))
        place = self._position
        block = self._stream.read(_BLOCK)
        self._position += len(block)
        if block == bytes(_BLOCK):
            self._check_end()
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            reason = f"bad header at byte {place}: {error}" if len(block) == _BLOCK else "truncated, it has no end"
            raise self._damaged(reason) from None
        self._announce(0 if header.isdir() else header.size)
        return header

    def _announce(self, size: int) -> None:
        if size < 0:
            raise self._damaged(f"a member of {size} bytes")
        self._end = self._position + size + -size % _BLOCK

    def _check_end(self) -> None:
        """Read the rest: a second block of zeros, then as many zeros as the writing program found fit."""
        rest = self._stream.read(_BLOCK)
        if len(rest) < _BLOCK:
            raise self._damaged("truncated, its end is not whole")
        while rest:
            if rest.count(0) < len(rest):
                raise self._damaged("goes on after the zeros that end it")
            rest = self._stream.read(_CHUNK_BYTES)

    def _entry(self, header: tarfile.TarInfo, name: str | None, records: dict[bytes, bytes]) -> Entry:
        if b"path" in records:
            name = _text(records[b"path"])
        if b"size" in records and not header.isdir():
            self._announce(size := self._number(records[b"size"]))
        else:
            size = header.size
        return Entry(
            name=header.name if name is None else name,
            size=size,
            is_file=header.type in _FILES and _SPARSE not in records,
            is_folder=header.isdir(),
        )

    def _extension(self, header: tarfile.TarInfo) -> bytes:
        if header.size > _LARGEST_EXTENSION:
            raise self._damaged(f"a name or pax header of {header.size} bytes")
        return self.read(header.size)

    def _pax_records(self, header: tarfile.TarInfo) -> dict[bytes, bytes]:
        """Return those records of a pax header that change how its member is read; its owner and times do not.

        A record is its own length in decimals, a space, key=value, a newline.
        """
        content, position = self._extension(header), 0
        records: dict[bytes, bytes] = {}
        while position < len(content):
            digits = content[position : position + 20].partition(b" ")[0]
            end = position + self._number(digits)
            key, equals, value = content[position + len(digits) + 1 : end - 1].partition(b"=")
            if not equals or content[end - 1 : end] != b"\n":
                raise self._damaged("bad pax header")
            if key.startswith(_SPARSE):
                records[_SPARSE] = b""
            elif key in (b"path", b"size"):
                records[key] = value
            position = end
        return records

    def _number(self, digits: bytes) -> int:
        if not digits.isdigit() or len(digits) > 19:
            raise self._damaged("bad pax header")
        return int(digits)

    def _damaged(self, reason: str) -> InputError:
        return InputError(f"{self._where}: {reason}; the archive is damaged, fetch it again")


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
