"""Reads of regular files only, and writes that leave a whole file or folder, or none."""

import errno
import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from speech_recognition.errors import DiskFullError, InputError

FULL = {errno.ENOSPC, errno.EDQUOT}
"""Errors of the system that say that the disk, or the user's part of it, is full."""


def open_regular(path: Path, advice: str = "replace it with one") -> BinaryIO:
    """Open a regular file for reading. Raises OSError as `open` does.

    Raises InputError, ending in `advice`, for a device, whose content may have no end, and for a pipe; O_NONBLOCK keeps
    the opening of a pipe from waiting for its writer.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InputError(f"{path}: not a regular file; {advice}")
    return file


def read_regular(path: Path, most_bytes: int, advice: str = "replace it with one") -> bytes:
    """Return a regular file's content. Raises as `open_regular` does, and InputError above `most_bytes`."""
    with open_regular(path, advice) as file:
        content = file.read(most_bytes + 1)  # the file's size is not asked for: the file may be growing
    if len(content) > most_bytes:
        raise InputError(f"{path}: has over {most_bytes} bytes, more than a file of this kind can have; {advice}")
    return content


def read_input(path: Path, advice: str, most_bytes: int = 2**28) -> bytes:
    """Return the content of a file that a user named. Raises InputError, ending in `advice`, if it cannot be read."""
    try:
        return read_regular(path, most_bytes, advice)
    except IsADirectoryError:
        raise InputError(f"{path}: not a regular file; {advice}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {advice}") from None


def read_json(path: Path, advice: str) -> Any:
    """Return the content of a JSON file of at most 16 MiB.

    Raises InputError, ending in `advice`, if the file is larger or cannot be read or parsed.
    """
    content = read_input(path, advice, most_bytes=2**24)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); {advice}") from None


def resolved(path: Path) -> Path:
    """Return the absolute path, links followed. Raises InputError for a link that points to itself."""
    try:
        return path.resolve()
    except RuntimeError:
        raise InputError(f"{path}: a link that points to itself; remove it or name a different path") from None


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; the file written there replaces `path` when the block ends.

    A kill at any moment leaves the old file or the new one, which has the old one's permissions. A missing folder is
    made; an exception in the block removes the temporary file; a link is followed and its target replaced. Raises
    InputError if `path` is a folder or a device.
    """
    path = resolved(path)
    check_file(path, "")
    path.parent.mkdir(parents=True, exist_ok=True)
    # Hidden from globs by its dot, and different in each process.
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())  # before the renaming, or a power cut could leave the new name without its content
        if path.exists():
            shutil.copymode(path, partial)
        os.replace(partial, path)  # the folder is not synced: a power cut may bring back the old file, but no half one
    except OSError as error:
        # The error of a write names no file, and users do not know the temporary file.
        if str(error.filename) == str(partial) or (error.filename is None and error.errno in {*FULL, errno.EFBIG}):
            error.filename = str(path)
        raise
    finally:
        with suppress(OSError):  # a name that is too long is no file either
            partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`, which replaces `path` when the block ends; a link is followed.

    An exception in the block removes the new folder and keeps the old one. After a kill, the next call moves the old
    folder back if it was moved away, and removes what the killed process had made. Raises InputError if a different
    process is making `path`.
    """
    path = resolved(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.partial."
    old = path.with_name(f"{prefix}old")
    if old.exists() and not path.exists():
        old.rename(path)
    # A folder that a living process is making is locked, and `held` raises; the others are left from killed processes.
    for remains in _remains(path.parent, prefix):
        with held(remains, f"{path}: another process is making it; wait for it"):
            shutil.rmtree(remains)
    partial = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    partial.chmod(0o755)  # mkdtemp's folders are closed to other users
    try:
        with held(partial, f"{path}: another process is making it; wait for it"):
            yield partial
        if path.exists():
            path.rename(old)  # not removed: that takes time, during which a kill would leave part of a folder
        partial.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for each in (partial, old):
            shutil.rmtree(each, ignore_errors=True)


def _remains(parent: Path, prefix: str) -> list[Path]:
    """Return the folders of `parent` whose name is `prefix` and then "old" or mkdtemp's letters.

    Not by glob, as the prefix contains a name that the user chose. The letters exclude dots: a folder
    ".a.partial.b.partial.x" belongs to a dataset "a.partial.b", not to one called "a".
    """
    name = re.compile(re.escape(prefix) + "[a-z0-9_]+")
    with os.scandir(parent) as entries:
        return [Path(each.path) for each in entries if name.fullmatch(each.name) and each.is_dir(follow_symlinks=False)]


_held: set[int] = set()
"""Descriptors of the folders that this process has locked."""


@contextmanager
def held(folder: Path, message: str) -> Iterator[None]:
    """Lock `folder` for this process in the block. Raises InputError with `message` if a different process holds it.

    The system releases the lock if the process is killed. On a file system without locks, nothing is locked.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    _held.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(message) from None
        except OSError:
            pass
        yield
    finally:
        if descriptor in _held:
            _held.remove(descriptor)
            os.close(descriptor)


def _let_go() -> None:
    """Close the locked folders in a forked process: a worker that outlives its killed parent would keep the locks."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)


def check_file(path: Path, parameter: str) -> None:
    """Raise InputError unless `path` is a regular file or missing; the message begins with the option `parameter`."""
    if path.exists() and not path.is_file():
        raise InputError(f"{parameter} {path}: not a regular file; name one".strip())


def check_writable(folder: Path, needed_bytes: int, parameter: str) -> None:
    """Raise InputError unless `folder` can be made and written, DiskFullError without `needed_bytes` of free disk.

    The message begins with the option `parameter`. Nothing is written: the nearest existing parent is examined.
    """
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"{parameter} {folder}: {existing} is not a folder; choose a different path")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(
            f"{parameter} {folder}: {existing} cannot be written; choose a different folder or change its permissions"
        )
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise DiskFullError(
            f"{parameter} {folder}: needs {needed_bytes / 1e9:.1f} GB of free disk, {existing} has {free / 1e9:.1f} GB;"
            " free some or choose a different disk"
        )
