"""Whether a dataset is, byte for byte, the one that the reference describes.

The checksum is the SHA-256 of a tar stream that is never written. Everything in it but
names and contents is fixed, so it depends on nothing else (owner, dates, permissions and
order made the checksums of the first MLPerf reference differ between machines). In the
dataset's folder GNU tar and coreutils make the same stream:

    find . -type f -printf '%P\\n' | LC_ALL=C sort |
    tar --format=ustar --owner=0 --group=0 --numeric-owner --mode=0644 --mtime=@0 -T - -cf - | sha256sum

The reference is NAME.json (checksum, sizes, counts) and NAME.files, a line for each file
with the first 16 digits of its SHA-256, by which a difference is named.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from speech_recognition.corpus.manifest import Counts, missing_dataset, parse_counts, read_counts
from speech_recognition.corpus.parallel import in_threads
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write
from speech_recognition.progress import Progress

_BLOCK = 512
"""A tar stream consists of blocks of this many bytes."""

_RECORD = 20 * _BLOCK
"""GNU tar fills its stream with zeros to a multiple of this."""

_READ_BYTES = 1 << 20
_DIGITS = 16
_NO_REGULAR_FILE = "(not a regular file)"


@dataclass(frozen=True)
class TarDigest:
    """The tar stream of a folder: its SHA-256 in hex, its length, and how many files are in it."""

    sha256: str
    bytes: int
    files: int


@dataclass(frozen=True)
class Reference:
    """What a dataset must be. `digests` holds the first 16 hex digits of each file's SHA-256."""

    dataset: str
    sha256: str
    tar_bytes: int
    files: int
    counts: Counts
    digests: dict[str, str]


@dataclass(frozen=True)
class Difference:
    """A file that is not as the reference has it; `kind` is missing, extra or differs."""

    path: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.path}"


def list_files(folder: Path) -> list[str]:
    """Paths, relative to `folder` and sorted by their bytes, of everything below it that is not a folder.

    A link to a folder is listed and not entered. Empty folders do not count.
    """
    names = []
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        names += [os.path.relpath(os.path.join(place, name), folder) for name in files + links]
    return sorted(names, key=os.fsencode)


def tar_digest(folder: Path) -> TarDigest:
    """Checksum the tar stream of all files below `folder`.

    Raises InputError on something that is neither a regular file nor a folder, on a name
    too long for the format, and on a file that cannot be read.
    """
    names = list_files(folder)
    digest, length = hashlib.sha256(), 0
    with Progress("checksum", len(names), "files") as progress:
        for name in names:
            path = folder / name
            if _is_special(path):
                raise InputError(f"{path}: not a regular file; remove it")
            for piece in _tar_entry(path, name):
                digest.update(piece)
                length += len(piece)
            progress.advance(1)
    end = bytes(2 * _BLOCK + -(length + 2 * _BLOCK) % _RECORD)
    digest.update(end)
    return TarDigest(digest.hexdigest(), length + len(end), len(names))


def _is_special(path: Path) -> bool:
    return path.is_symlink() or not path.is_file()


def _tar_entry(path: Path, name: str) -> Iterator[bytes]:
    """Header, contents and padding of one file."""
    size = path.stat().st_size
    yield _tar_header(name, size)
    read = 0
    for piece in _contents(path):
        read += len(piece)
        yield piece
    if read != size:
        raise InputError(f"{path}: changed while it was read; wait until nothing writes to the dataset")
    yield bytes(-size % _BLOCK)


def _contents(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_READ_BYTES):
                yield piece
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from None


def _tar_header(name: str, size: int) -> bytes:
    """The ustar header of a regular file (POSIX 1003.1-2001), in the form that GNU tar gives its fields."""
    raw = os.fsencode(name)
    if len(raw) > 100 or size >= 8**11:
        raise InputError(f"{name}: its name (over 100 bytes) or size (over 8 GB) does not fit a tar file; remove it")
    start = raw.ljust(100, b"\0") + b"0000644\0" + 2 * b"0000000\0" + b"%011o\0" % size + 11 * b"0" + b"\0"
    end = b"0" + bytes(100) + b"ustar\00000" + bytes(64) + 2 * b"0000000\0" + bytes(167)
    # The sum counts its own field as spaces.
    total = sum(start) + sum(end) + 8 * ord(" ")
    return start + b"%06o\0 " % total + end


def file_digests(folder: Path, workers: int | None = None) -> dict[str, str]:
    """The first 16 hex digits of the SHA-256 of every file below `folder`, by relative path.

    Links and other special files get a text that no digest equals; links are not followed.
    """
    names = list_files(folder)
    with (
        Progress("compare", len(names), "files") as progress,
        in_threads(lambda name: _file_digest(folder / name), names, workers) as results,
    ):
        digests = {}
        for name, digest in zip(names, results, strict=True):
            digests[name] = digest
            progress.advance(1)
    return digests


def _file_digest(path: Path) -> str:
    if _is_special(path):
        return _NO_REGULAR_FILE
    digest = hashlib.sha256()
    for piece in _contents(path):
        digest.update(piece)
    return digest.hexdigest()[:_DIGITS]


def verify(folder: Path, reference: Reference) -> list[Difference]:
    """What is different in `folder` from the reference, sorted by path; nothing means that the checksum agrees.

    Reads the files once if all is well, and again one by one to name the differences.
    Raises InputError if there is no dataset.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise missing_dataset(folder)
    names = list_files(folder)
    regular = not any(_is_special(folder / name) for name in names)
    if regular and names == sorted(reference.digests, key=os.fsencode):
        digest = tar_digest(folder)
        if (digest.sha256, digest.bytes) == (reference.sha256, reference.tar_bytes):
            return []
    found = file_digests(folder)
    kinds = {name: _compare(found.get(name), reference.digests.get(name)) for name in found | reference.digests}
    differences = [Difference(name, kind) for name, kind in kinds.items() if kind]
    if not differences:
        raise InputError(f"reference of {reference.dataset}: its checksum does not belong to its list; restore both")
    return sorted(differences, key=lambda difference: os.fsencode(difference.path))


def _compare(found: str | None, expected: str | None) -> str:
    if found == expected:
        return ""
    if found is None:
        return "missing"
    return "extra" if expected is None else "differs"


def write_reference(folder: Path, reference_dir: Path, name: str) -> Reference:
    """Make the dataset in `folder` the reference: write NAME.json and NAME.files.

    Raises InputError if there is no dataset, or it is another option's.
    """
    counts = read_counts(folder)
    if counts.dataset != name:
        raise InputError(f"{folder}: holds the dataset {counts.dataset!r}, not {name!r}; give its folder")
    digests = file_digests(folder)
    tar = tar_digest(folder)
    summary = {"dataset": name, "sha256": tar.sha256, "tar_bytes": tar.bytes, "files": tar.files}
    summary |= {"counts": asdict(counts)}
    with atomic_write(reference_dir / f"{name}.files") as partial:
        lines = [f"{digest} {path}\n" for path, digest in digests.items()]
        partial.write_text("".join(lines), encoding="utf-8", newline="\n")
    with atomic_write(reference_dir / f"{name}.json") as partial:
        partial.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8", newline="\n")
    return read_reference(reference_dir, name)


def read_reference(reference_dir: Path, name: str) -> Reference:
    """Read the reference of a dataset. Raises InputError if it is missing or damaged."""
    path = reference_dir / f"{name}.json"
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
        lines = (reference_dir / f"{name}.files").read_text(encoding="utf-8").splitlines()
        digests = {line[_DIGITS + 1 :]: line[:_DIGITS] for line in lines}
        sha256, tar_bytes, files = str(summary["sha256"]), int(summary["tar_bytes"]), int(summary["files"])
        reference = Reference(name, sha256, tar_bytes, files, parse_counts(summary["counts"]), digests)
    except OSError as error:
        raise InputError(f"{error.filename}: reference cannot be read ({error.strerror}); restore it") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: damaged reference; restore it and {name}.files") from None
    if summary.get("dataset") != name or len(digests) != reference.files:
        raise InputError(f"{path}: {name}.files does not belong to it; restore both")
    return reference
