"""The FLAC and transcript files of LibriSpeech, read from its archives or from a folder in its layout.

Archives are read as streams. Nothing is unpacked to disk, and no name in an archive is used as a
path: a hostile archive can neither write outside a folder nor fill the disk.
"""

import gzip
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from speech_recognition.corpus.audio import LONGEST_SECONDS
from speech_recognition.corpus.librispeech.layout import FLAC, TRANSCRIPTS, check_place, split_of
from speech_recognition.corpus.librispeech.tar_reader import Entry, TarReader
from speech_recognition.errors import InputError
from speech_recognition.files import open_regular, read_regular
from speech_recognition.parameters import SAMPLE_RATE

_ARCHIVE = ".tar.gz"
"""Suffix of an archive."""

_TOP = "LibriSpeech"
"""Top folder of every archive, which holds the subset."""

_LARGEST_BYTES = {FLAC: 2 * LONGEST_SECONDS * SAMPLE_RATE + (1 << 20), TRANSCRIPTS: 1 << 24}
"""Most bytes of a file, which is held in memory: FLAC's are those of an hour's samples and 1 MiB of metadata."""

_FETCH = "the archive is damaged or not LibriSpeech's; download it again"
"""Reason and advice in errors about an archive."""


@dataclass(frozen=True, slots=True)
class Member:
    """One FLAC or transcript file of an archive or folder."""

    subset: str
    """Name of its subset, such as dev-clean."""
    name: str
    """File name, without folders."""
    content: bytes
    """Bytes of the file."""
    where: str
    """The file, or the archive and its member, for messages."""


def find_files(source: Path) -> list[Path]:
    """Return the files to read: `source` if it is an archive, the archives in it, or the files of its subsets.

    Raises InputError if there are none, if a subset has an unknown name or no recordings, or if a
    file does not lie in the folders that its name states. Links are followed; a broken link, and a
    link to a folder that is read already, are refused.
    """
    if not source.exists():
        raise InputError(f"{source}: no such folder; give a folder in LibriSpeech's layout, or archives")
    if not source.is_dir():
        if not is_archive(source):
            raise InputError(f"{source}: not an archive (*{_ARCHIVE}); give one, or a folder in LibriSpeech's layout")
        return [source]
    entries = sorted(path for path in source.iterdir() if not path.name.startswith("."))
    archives = [path for path in entries if is_archive(path)]
    if archives:
        return archives  # whatever else is there: a folder of downloads may also hold unpacked subsets
    for path in entries:
        _check_link(path)
    subsets = [path for path in entries if path.is_dir()]
    if not subsets:
        raise InputError(f"{source}: no subset folder (train-*, dev-*, test-*); give the folder that holds them")
    return [file for subset in subsets for file in _files_of(subset)]


def is_archive(path: Path) -> bool:
    """Return whether the name of `path` is that of an archive, *.tar.gz and not hidden."""
    return path.name.endswith(_ARCHIVE) and not path.name.startswith(".")


def _files_of(subset: Path) -> list[Path]:
    """Return a subset's files, the transcripts first so that they are known when the recordings are read."""
    split_of(subset.name, str(subset))
    try:
        files = list(_walk(subset))
    except RecursionError:
        raise InputError(f"{subset}: folders nested too deep; remove them") from None
    transcripts, flacs = (sorted(path for path in files if path.name.endswith(end)) for end in (TRANSCRIPTS, FLAC))
    if not flacs:
        raise InputError(f"{subset}: no recordings (<speaker>/<chapter>/*.flac); fill it or remove it")
    for path in transcripts + flacs:
        if not path.is_file():
            raise InputError(f"{path}: is not a regular file; remove it")
        check_place(path.relative_to(subset.parent).parts, str(path))
    return transcripts + flacs


def _walk(subset: Path) -> Iterator[Path]:
    """Yield the path of every file below a subset, following links.

    Raises InputError for a broken link and for a folder that was visited before: a link to a folder above itself
    would never end.
    """
    seen: dict[tuple[int, int], str] = {}
    for folder, folders, names in os.walk(subset, onerror=_refuse, followlinks=True):
        folders.sort()  # os.walk goes by this list, so that the same link is refused on every file system
        status = os.stat(folder)
        first = seen.setdefault((status.st_dev, status.st_ino), folder)
        if first != folder:
            raise InputError(f"{folder}: a link to {first}, which is read already; remove the link")
        for name in names:
            path = Path(folder, name)
            _check_link(path)
            yield path


def _check_link(path: Path) -> None:
    """Raise InputError for a link whose target does not exist."""
    if path.is_symlink() and not path.exists():
        raise InputError(f"{path}: a broken link; restore its target or remove it")


def _refuse(error: OSError) -> None:
    """Raise InputError for a folder that os.walk cannot list, and would otherwise skip in silence."""
    raise InputError(f"{error.filename}: cannot be read ({error.strerror}); change its permissions")


def read_members(file: Path) -> Iterator[Member]:
    """Yield the members of an archive in its order, or the single member that a file of a folder is.

    Raises InputError if the file cannot be read to its end or is too large for a recording or
    transcripts. Raises it too if an archive is damaged (see `TarReader`), or has a link, a device, a
    sparse file, an absolute name, a name with "..", or a file outside the folders that its name states.
    """
    try:
        if is_archive(file):
            yield from _read_archive(file)
        else:
            # The path ends in <subset>/<speaker>/<chapter>/<name>: find_files has checked it.
            yield Member(file.parts[-4], file.name, read_regular(file, _most_bytes(file.name)), str(file))
    except InputError:  # a ValueError too, but its message is complete
        raise
    except (zlib.error, EOFError, gzip.BadGzipFile, ValueError, MemoryError) as error:
        raise InputError(f"{file}: {error or 'truncated'}; {_FETCH}") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror or error}); download it again") from None


def _read_archive(archive: Path) -> Iterator[Member]:
    """Yield the FLAC and transcript files of an archive, in its order."""
    with open_regular(archive) as zipped, gzip.open(zipped) as unzipped:
        tar = TarReader(unzipped, str(archive))
        for entry in tar:
            path = _place(entry, archive)
            # The reader skips the content of other files, such as SPEAKERS.TXT.
            if path is not None:
                yield Member(path.parts[0], path.name, tar.read(entry.size), f"{archive}: {entry.name}")


def _place(entry: Entry, archive: Path) -> PurePosixPath | None:
    """Return the path below the top folder of a FLAC or transcript file; None for folders and other files."""
    # Nothing is unpacked, so such a name could do no harm here. But no archive of LibriSpeech has one.
    path = PurePosixPath(entry.name)
    if path.is_absolute() or ".." in path.parts:
        raise InputError(f"{archive}: {entry.name!r} points outside the archive; {_FETCH}")
    if not (entry.is_file or entry.is_folder):
        raise InputError(f"{archive}: {entry.name!r} is neither a file nor a folder; {_FETCH}")
    if entry.is_folder or not path.name.endswith((FLAC, TRANSCRIPTS)):
        return None
    if path.parts[0] != _TOP or entry.size > _most_bytes(path.name):
        raise InputError(f"{archive}: {entry.name!r} is not below {_TOP}/ or is too large; {_FETCH}")
    below = path.relative_to(_TOP)
    check_place(below.parts, f"{archive}: {entry.name}")
    split_of(below.parts[0], f"{archive}: {entry.name}")
    return below


def _most_bytes(name: str) -> int:
    """Return the most bytes that a file of this name may have."""
    return _LARGEST_BYTES[TRANSCRIPTS if name.endswith(TRANSCRIPTS) else FLAC]
