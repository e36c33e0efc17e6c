"""LibriSpeech as it comes, as archives or as a folder: a stream of its FLAC and transcript files.

Archives are read as streams. Nothing is unpacked, and no name in them becomes a path.
"""

import gzip
import os
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from speech_recognition.corpus.layout import FLAC, TRANSCRIPTS, check_place, split_of
from speech_recognition.errors import InputError

_ARCHIVE = ".tar.gz"
_TOP = "LibriSpeech"
"""The folder that holds the subset in every archive."""

_READ_BYTES = 1 << 20

_LARGEST_BYTES = 1 << 28
"""A file of an archive is held in memory; an hour of FLAC is a third of this."""

_FETCH = "the archive is damaged or no LibriSpeech; fetch it again"


@dataclass(frozen=True, slots=True)
class Member:
    """A FLAC or transcript file of a source. `where` names it in messages."""

    subset: str
    name: str
    content: bytes
    where: str


def find_files(source: Path) -> list[Path]:
    """What `source` has to read: archives (it is one, or holds some), or the files of a folder in LibriSpeech's layout.

    Raises InputError if it has neither, if a subset has another name or no recordings, or
    if a file lies at another place than its name tells.
    """
    if not source.exists():
        raise InputError(f"{source}: no such folder; give a folder in LibriSpeech's layout, or archives")
    if source.is_file():
        if not is_archive(source):
            raise InputError(f"{source}: not an archive (*{_ARCHIVE}); give one, or a folder in LibriSpeech's layout")
        return [source]
    archives = sorted(path for path in source.iterdir() if is_archive(path))
    if archives:
        return archives
    subsets = sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not subsets:
        raise InputError(f"{source}: no subset folder (train-*, dev-*, test-*); give the folder that holds them")
    return [file for subset in subsets for file in _files_of(subset)]


def is_archive(path: Path) -> bool:
    """Whether it is one by its name."""
    return path.name.endswith(_ARCHIVE) and not path.name.startswith(".")


def _files_of(subset: Path) -> list[Path]:
    split_of(subset.name, str(subset))
    files = [Path(folder, name) for folder, _, names in os.walk(subset, onerror=_refuse) for name in names]
    transcripts, flacs = (sorted(path for path in files if path.name.endswith(end)) for end in (TRANSCRIPTS, FLAC))
    if not flacs:
        raise InputError(f"{subset}: no recordings (<speaker>/<chapter>/*.flac); fill it or remove it")
    for path in transcripts + flacs:
        if not path.is_file():
            raise InputError(f"{path}: is no file; remove it")
        check_place(path.relative_to(subset.parent).parts, str(path))
    return transcripts + flacs


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename}: cannot be read ({error.strerror}); change its permissions")


def read_members(file: Path) -> Iterator[Member]:
    """The members of an archive, in its order, or the one that a file of a folder is.

    Raises InputError if it cannot be read to its end, or if an archive holds a link, a
    device, an absolute name, a name with "..", or a file at another place than its name tells.
    """
    try:
        if is_archive(file):
            yield from _read_archive(file)
        else:
            yield Member(file.parts[-4], file.name, file.read_bytes(), str(file))
    except InputError:
        raise
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, ValueError, MemoryError) as error:
        raise InputError(f"{file}: {error or 'truncated'}; {_FETCH}") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error}); fetch it again") from None


def _read_archive(archive: Path) -> Iterator[Member]:
    # Not tarfile's own "r|gz", which does not look at the sum at the end.
    with gzip.open(archive) as unzipped, tarfile.open(fileobj=unzipped, mode="r|", bufsize=_READ_BYTES) as tar:
        for info in tar:
            path = _place(info, archive)
            content = tar.extractfile(info)
            if path is not None and content is not None:
                yield Member(path.parts[0], path.name, content.read(), f"{archive}: {info.name}")
        while unzipped.read(_READ_BYTES):
            pass


def _place(info: tarfile.TarInfo, archive: Path) -> PurePosixPath | None:
    """Where a file that is wanted lies below the top folder; None for folders and other files."""
    path = PurePosixPath(info.name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{archive}: {info.name!r} leads out of the archive; {_FETCH}")
    if not (info.isreg() or info.isdir()):
        raise InputError(f"{archive}: {info.name!r} is neither a file nor a folder; {_FETCH}")
    if info.isdir() or not path.name.endswith((FLAC, TRANSCRIPTS)):
        return None
    if path.parts[0] != _TOP or info.size > _LARGEST_BYTES:
        raise InputError(f"{archive}: {info.name!r} is not below {_TOP}/, or too large; {_FETCH}")
    below = path.relative_to(_TOP)
    check_place(below.parts, f"{archive}: {info.name}")
    split_of(below.parts[0], f"{archive}: {info.name}")
    return below
