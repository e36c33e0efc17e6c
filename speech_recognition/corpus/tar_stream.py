"""A folder as a deterministic tar stream: its SHA-256 and, from the same pass, a short sum of each file.

Everything in the stream but names and contents is fixed, so that it depends on nothing
else (owner, dates, permissions and order made the checksums of the first MLPerf reference
differ between machines). In the folder GNU tar and coreutils make the same stream:

    find . -type f -printf '%P\\n' | LC_ALL=C sort |
    tar --format=ustar --owner=0 --group=0 --numeric-owner --mode=0644 --mtime=@0 -T - -cf - | sha256sum

Threads read the files; this one hashes, and one processor's SHA-256 is what bounds it.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import xxhash

from speech_recognition.corpus.parallel import in_threads
from speech_recognition.errors import InputError
from speech_recognition.runtime.progress import Progress

NO_REGULAR_FILE = "(not a regular file)"
"""Stands for the sum of what is no part of the stream: a link, a pipe, a device, a file that it has no room for."""

RECORDED = "checksums"
"""Folder of a dataset for its own checksum, which cannot be in the stream."""

_BLOCK = 512
"""A tar stream consists of blocks of this many bytes."""

_RECORD = 20 * _BLOCK
"""GNU tar fills its stream with zeros to a multiple of this."""

_BATCH_BYTES, _BATCH_FILES = 2 << 20, 256
"""Files are read in batches of about this size, for one call of the digest each."""

_LARGEST_BYTES = 1 << 30
"""A file is held in memory; no dataset has one that is larger."""

_LONGEST_NAME = 100
"""Bytes of a path, in the form ustar without its prefix."""

_READERS = 4


@dataclass(frozen=True)
class Scan:
    """The tar stream of a folder: its SHA-256 in hex and its length; `sums` has a short sum of each file by its path.

    A sum is the 64-bit XXH3 of the contents, in 16 hex digits: it tells which files have
    changed; whether any has is for the SHA-256 to say.
    """

    sha256: str
    bytes: int
    sums: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Several files of the stream, with their sums."""

    stream: bytes
    sums: list[tuple[str, str]]


def scan(folder: Path, tar_file: BinaryIO | None = None) -> Scan:
    """Read everything below `folder` once; `tar_file` also gets the stream itself.

    What is no regular file, has over 1 GiB or a path of over 100 bytes is left out of the stream and gets
    NO_REGULAR_FILE for a sum. Raises InputError on a file that cannot be read.
    """
    names, special = list_files(folder)
    digest, length = hashlib.sha256(), 0
    sums: dict[str, str] = {}
    with (
        Progress("checksum", len(names), "files") as progress,
        in_threads(lambda batch: _read(folder, batch), _batches(folder, names, special), _READERS) as pieces,
    ):
        for piece in pieces:
            digest.update(piece.stream)
            if tar_file is not None:
                tar_file.write(piece.stream)
            length += len(piece.stream)
            sums.update(piece.sums)
            progress.advance(len(piece.sums))
    end = bytes(2 * _BLOCK + -(length + 2 * _BLOCK) % _RECORD)
    digest.update(end)
    if tar_file is not None:
        tar_file.write(end)
    return Scan(digest.hexdigest(), length + len(end), sums | dict.fromkeys(special, NO_REGULAR_FILE))


def list_files(folder: Path) -> tuple[list[str], list[str]]:
    """Paths, relative to `folder` and sorted by their bytes, of all regular files below it, and of all else.

    A link to a folder is listed and not entered, nor is a folder whose path is too long for any file in it.
    Regular files with such a path are listed with all else. Empty folders do not count.
    """
    regular: list[str] = []
    special: list[str] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                path = prefix + entry.name
                if path == RECORDED:
                    continue
                if len(os.fsencode(path)) > _LONGEST_NAME:
                    special.append(path)
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append(path + "/")
                else:
                    (regular if entry.is_file(follow_symlinks=False) else special).append(path)
    return sorted(regular, key=os.fsencode), sorted(special, key=os.fsencode)


def _batches(folder: Path, names: Iterable[str], special: list[str]) -> Iterator[list[str]]:
    """The names in order, in batches of about _BATCH_BYTES; those of files too large go to `special`."""
    batch: list[str] = []
    held = 0
    for name in names:
        size = _size(folder, name)
        if size > _LARGEST_BYTES:
            special.append(name)
            continue
        batch.append(name)
        held += size
        if held >= _BATCH_BYTES or len(batch) == _BATCH_FILES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _size(folder: Path, name: str) -> int:
    try:
        return os.stat(f"{folder}/{name}").st_size
    except OSError as error:
        raise _unreadable(folder, name, error) from None


def _unreadable(folder: Path, name: str, error: OSError) -> InputError:
    return InputError(f"{folder / name}: cannot be read ({error.strerror}); change its permissions, or fetch it again")


def _read(folder: Path, names: list[str]) -> _Piece:
    """Headers, contents and padding of some files, and their sums."""
    stream: list[bytes] = []
    sums = []
    for name in names:
        try:
            with open(f"{folder}/{name}", "rb", buffering=0) as file:
                content = file.readall()
        except OSError as error:
            raise _unreadable(folder, name, error) from None
        stream += (_header(name, len(content)), content, bytes(-len(content) % _BLOCK))
        sums.append((name, xxhash.xxh3_64_hexdigest(content)))
    return _Piece(b"".join(stream), sums)


def _header(name: str, size: int) -> bytes:
    """The ustar header of a regular file (POSIX 1003.1-2001), in the form that GNU tar gives its fields."""
    raw = os.fsencode(name).ljust(_LONGEST_NAME, b"\0")
    start = raw + b"0000644\0" + 2 * b"0000000\0" + b"%011o\0" % size + 11 * b"0" + b"\0"
    end = b"0" + bytes(100) + b"ustar\00000" + bytes(64) + 2 * b"0000000\0" + bytes(167)
    # The sum counts its own field as spaces.
    total = sum(start) + sum(end) + 8 * ord(" ")
    return start + b"%06o\0 " % total + end
