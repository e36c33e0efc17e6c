"""Reading of tar archives as a stream, in the formats ustar and pax (IEEE Std 1003.1-2001) and GNU tar.

Python's tarfile treats an unreadable header as the end of the archive, without an error: a damaged archive of
LibriSpeech would silently lose its last recordings. This reader accounts for every byte. Each one belongs to a member
or to the zeros at the end; otherwise the archive is refused. Members cannot expand to more than their share of the
stream, since sparse files are not read.
"""

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass

from speech_recognition.errors import InputError

_BLOCK = 512
"""Bytes of a tar block: a header is one block, and contents are filled up to whole blocks."""

_CHUNK_BYTES = 1 << 20
"""Most bytes that are read at once where the content is not needed."""

_LARGEST_EXTENSION = 1 << 20
"""Most bytes of a long name or of a pax header, which are held in memory."""

_LONG_NAME, _LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
"""Types of GNU tar's pseudo-members, whose content is the next member's name or link target."""

_PAX, _PAX_OF_ALL = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE), tarfile.XGLTYPE
"""Types of pax headers for the next member, and for all members that follow."""

_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
"""Types of regular files; AREGTYPE is that of tar before POSIX, CONTTYPE asks for adjacent disk blocks."""

_SPARSE = b"GNU.sparse"
"""Prefix of the pax keys of a sparse file."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of an archive."""

    name: str
    """Path of the member in the archive."""
    size: int
    """Size of its content in bytes."""
    is_file: bool
    """True for a regular file. A link, a device and a sparse file are neither a file nor a folder."""
    is_folder: bool
    """True for a folder."""


class TarReader:
    """Iterator over the entries of a tar stream; `read` returns the content of the latest entry.

    Iteration and `read` raise InputError, its message beginning with `where`, for a damaged header, for an archive that
    ends early, and for anything but zeros after its end.
    """

    def __init__(self, stream: io.BufferedIOBase, where: str) -> None:
        """Make an iterator at the beginning of the uncompressed `stream`."""
        self._stream, self._where = stream, where
        self._position = 0
        self._end = 0  # position after the content and padding that the latest header announced

    def __iter__(self) -> Iterator[Entry]:
        """Yield each entry; content that the caller does not read is skipped."""
        # Long names and pax headers are pseudo-members that come before the member that they describe.
        name: str | None = None
        records: dict[bytes, bytes] = {}
        complete = True
        while (header := self._next_header()) is not None:
            complete = False
            if header.type == _LONG_NAME:
                name = _text(self._extension(header).partition(b"\0")[0])
            elif header.type == _LONG_LINK:
                self._extension(header)  # the target of a link, which is not needed
            elif header.type in _PAX:
                records |= self._pax_records(header)
            elif header.type == _PAX_OF_ALL:
                if self._pax_records(header):
                    raise self._damaged("a global pax header sets the path or size of all members")
            else:
                yield self._entry(header, name, records)
                name, records, complete = None, {}, True
        if not complete:
            raise self._damaged("ends in the middle of a member")

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, which are the latest entry's content if `size` is its size."""
        content = self._stream.read(size)
        self._position += len(content)
        if len(content) < size:
            raise self._damaged("truncated")
        return content

    def _next_header(self) -> tarfile.TarInfo | None:
        """Return the next header, or None after the whole end of the archive has been read and checked."""
        # Content that the caller did not read, and padding. A gzip stream can only be skipped by reading it.
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
            reason = (
                f"bad header at byte {place}: {error}"
                if len(block) == _BLOCK
                else "truncated, without the zeros that end it"
            )
            raise self._damaged(reason) from None
        # A folder's size is disk space reserved for it (POSIX); no content follows.
        self._announce(0 if header.isdir() else header.size)
        return header

    def _announce(self, size: int) -> None:
        """Record that `size` bytes of content and their padding follow."""
        if size < 0:
            raise self._damaged(f"a member of {size} bytes")
        self._end = self._position + size + -size % _BLOCK

    def _check_end(self) -> None:
        """Read the rest of the stream: a second block of zeros, then those that fill a record (10 KiB for GNU tar)."""
        rest = self._stream.read(_BLOCK)
        if len(rest) < _BLOCK:
            raise self._damaged("truncated in the zeros that end it")
        while rest:
            if rest.count(0) < len(rest):
                raise self._damaged("has data after the zeros that end it")
            rest = self._stream.read(_CHUNK_BYTES)

    def _entry(self, header: tarfile.TarInfo, name: str | None, records: dict[bytes, bytes]) -> Entry:
        """Return the entry of a header; pax records take precedence over a long name and the header's own fields."""
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
        """Return the content of a pseudo-member."""
        if header.size > _LARGEST_EXTENSION:
            raise self._damaged(f"a name or pax header of {header.size} bytes")
        return self.read(header.size)

    def _pax_records(self, header: tarfile.TarInfo) -> dict[bytes, bytes]:
        """Return the records of a pax header that matter here: path, size, and whether the member is a sparse file.

        A record is "LENGTH KEY=VALUE\\n", where LENGTH counts the whole record, its own digits included.
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
        """Return the number that the digits of a pax record stand for. Raises InputError if they are not digits."""
        # 19 digits hold every 63-bit size, and Python refuses to convert thousands of them.
        if not digits.isdigit() or len(digits) > 19:
            raise self._damaged("bad pax header")
        return int(digits)

    def _damaged(self, reason: str) -> InputError:
        """Return the error for a damaged archive."""
        return InputError(f"{self._where}: {reason}; the archive is damaged; download it again")


def _text(raw: bytes) -> str:
    """Return a name as text; bytes that are not UTF-8 are kept as surrogates."""
    return raw.decode("utf-8", "surrogateescape")
