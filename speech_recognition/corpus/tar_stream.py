"""A folder as a deterministic tar stream: its SHA-256 and, from the same pass, a short sum of each file.

The stream depends on the files' names and contents only. Owner, dates, permissions and order
are fixed: they made the checksums of the first MLPerf reference differ between machines. GNU
tar and coreutils write the same stream when they run in the folder:

    find . -path ./checksums -prune -o -type f -printf '%P\\n' | LC_ALL=C sort |
    tar --format=ustar --owner=0 --group=0 --numeric-owner --mode=0644 --mtime=@0 -T - -cf - | sha256sum

Several threads read the files and the calling thread hashes them: the speed of SHA-256 on one
core is the limit, since a digest of one stream cannot be computed in parallel.
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
"""Sum of a path that is left out of the stream: a link, pipe or device, or a file that is too large or too deep."""

RECORDED = "checksums"
"""Folder in a dataset for its own checksum. It is not in the stream, whose checksum it holds."""

_BLOCK = 512
"""Bytes of a tar block: headers and contents are filled up to whole blocks."""

_RECORD = 20 * _BLOCK
"""Bytes of a tar record: GNU tar fills the stream with zeros to a whole record."""

_BATCH_BYTES, _BATCH_FILES = 2 << 20, 256
"""Size of the batches in which files are read: each is one call of the digest, which releases Python's lock."""

_LARGEST_BYTES = 1 << 30
"""Most bytes of a file in the stream, since it is held in memory. An hour of audio takes a ninth."""

_LONGEST_NAME = 100
"""Most bytes of a path: the name field of ustar, without its prefix field."""

_READERS = 4
"""Threads that read files, while the calling thread hashes what they have read."""


@dataclass(frozen=True)
class Scan:
    """Checksums of a folder.

    A short sum is the 64-bit XXH3 of a file's content, in 16 hex digits. It only helps to name
    the files that differ; the SHA-256 decides whether any does.
    """

    sha256: str
    """SHA-256 of the tar stream, in hex."""
    bytes: int
    """Length of the tar stream in bytes."""
    sums: dict[str, str]
    """Short sum of each file, or NO_REGULAR_FILE, by path."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Part of the stream: consecutive whole files."""

    stream: bytes
    """Headers, contents and padding of the files."""
    sums: list[tuple[str, str]]
    """Path and short sum of each file."""


def scan(folder: Path, tar_file: BinaryIO | None = None) -> Scan:
    """Read everything below `folder` once and return its checksums; write the stream to `tar_file` if it is given.

    Anything but a regular file, a file of more than 1 GiB, and a path of more than 100 bytes are left out of the
    stream and have the sum NO_REGULAR_FILE. Raises InputError for a file that cannot be read.
    """
    names, special = list_files(folder)
    # SHA-256 takes 1.7 GB/s on one core (docs/RESULTS.md), about a minute for the 113 GB of LibriSpeech.
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
    # Two blocks of zeros end the stream; more of them fill the last record.
    end = bytes(2 * _BLOCK + -(length + 2 * _BLOCK) % _RECORD)
    digest.update(end)
    if tar_file is not None:
        tar_file.write(end)
    return Scan(digest.hexdigest(), length + len(end), sums | dict.fromkeys(special, NO_REGULAR_FILE))


def list_files(folder: Path) -> tuple[list[str], list[str]]:
    """Return the paths of all regular files below `folder`, and those of everything else but folders.

    Paths are relative to `folder` and sorted by their bytes. The second list also has the paths of more than 100
    bytes: files, and folders, which are not entered. A link to a folder is listed there too and not followed. Empty
    folders and the folder RECORDED are left out.
    """
    regular: list[str] = []
    special: list[str] = []
    # A list instead of recursion: folders may be nested deeper than Python's stack allows.
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
    """Yield the names in order, in batches of about _BATCH_BYTES; append the names of too large files to `special`."""
    batch: list[str] = []
    held = 0
    for name in names:
        # Sorted by path, a split's transcripts come before its recordings: a batch is 256 transcripts, or about six
        # recordings of LibriSpeech, which have 0.4 MB each.
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
    """Return the size of a file in bytes. Raises InputError if the file cannot be examined."""
    try:
        return os.stat(f"{folder}/{name}").st_size
    except OSError as error:
        raise _unreadable(folder, name, error) from None


def _unreadable(folder: Path, name: str, error: OSError) -> InputError:
    return InputError(f"{folder / name}: cannot be read ({error.strerror}); change its permissions or restore it")


def _read(folder: Path, names: list[str]) -> _Piece:
    """Return headers, contents and padding of some files, and their short sums."""
    stream: list[bytes] = []
    sums = []
    for name in names:
        try:
            # Not Path.read_bytes(), which adds 3 s to LibriSpeech's 562,000 files: a buffer and a Path for each.
            with open(f"{folder}/{name}", "rb", buffering=0) as file:
                content = file.readall()
        except OSError as error:
            raise _unreadable(folder, name, error) from None
        stream += (_header(name, len(content)), content, bytes(-len(content) % _BLOCK))
        sums.append((name, xxhash.xxh3_64_hexdigest(content)))
    return _Piece(b"".join(stream), sums)


def _header(name: str, size: int) -> bytes:
    """Return the ustar header of a regular file (IEEE Std 1003.1-2001, pax), its fields written as GNU tar does."""
    raw = os.fsencode(name).ljust(_LONGEST_NAME, b"\0")
    # Name, mode, uid and gid, size, mtime: octal digits, each field ended by a zero byte.
    start = raw + b"0000644\0" + 2 * b"0000000\0" + b"%011o\0" % size + 11 * b"0" + b"\0"
    # Type 0 (a regular file), link name, magic and version, user and group names, device numbers, prefix and padding.
    end = b"0" + bytes(100) + b"ustar\00000" + bytes(64) + 2 * b"0000000\0" + bytes(167)
    # The checksum stands between the two and counts its own 8 bytes as spaces.
    total = sum(start) + sum(end) + 8 * ord(" ")
    return start + b"%06o\0 " % total + end
