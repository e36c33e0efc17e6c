"""Files and folders that are there whole or not at all."""

import fcntl
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from speech_recognition.errors import DiskFullError, InputError


def open_regular(path: Path, advice: str = "replace it by one") -> BinaryIO:
    """Open a regular file for reading. Raises OSError as `open` does; InputError, ending in `advice`, for others.

    A pipe or a device would never end, and `open` itself waits for a pipe's writer.
    """
    file = open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK))  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise InputError(f"{path}: is no regular file; {advice}")
    return file


def read_regular(path: Path, most_bytes: int, advice: str = "replace it by one") -> bytes:
    """Return the content of a regular file. Raises as `open_regular` does, and InputError for one that is larger."""
    with open_regular(path, advice) as file:
        content = file.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise InputError(f"{path}: has over {most_bytes} bytes, too many for what it should be; {advice}")
    return content


def read_input(path: Path, advice: str, most_bytes: int = 2**28) -> bytes:
    """Return the content of a file that a user named. Raises InputError, ending in `advice`, if it cannot be read."""
    try:
        return read_regular(path, most_bytes, advice)
    except IsADirectoryError:
        raise InputError(f"{path}: is no regular file; {advice}") from None
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {advice}") from None


def read_json(path: Path, advice: str) -> Any:
    """Return the content of a JSON file. Raises InputError, ending in `advice`, if it cannot be read or is none."""
    content = read_input(path, advice, most_bytes=2**24)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error}); {advice}") from None


def resolved(path: Path) -> Path:
    """Return the absolute path without links. Raises InputError for a link that leads back to itself."""
    try:
        return path.resolve()
    except RuntimeError:
        raise InputError(f"{path}: a link that leads back to itself; remove it or name a different path") from None


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`; what was written there becomes `path`.

    A kill at any moment leaves the old file or the new one. The folder is made
    if it is missing; an exception inside removes the temporary file. Of a link, what it points
    to is replaced. Raises InputError if `path` is a folder or a device.
    """
    path = resolved(path)
    check_file(path, "")
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder beside `path` that takes its place when the block ends; of a link, where it points to.

    An exception removes the new folder and leaves what was at `path`. A kill leaves the old folder or the new one;
    at the next call the old one is back, if it was moved already, and remains of the killed one are removed.
    Raises InputError if another process is making `path`.
    """
    path = resolved(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.partial."
    old = path.with_name(f"{prefix}old")
    if old.exists() and not path.exists():
        old.rename(path)
    for remains in _remains(path.parent, prefix):
        with held(remains, f"{path}: another process is making it; wait for it"):
            shutil.rmtree(remains)
    partial = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    partial.chmod(0o755)
    try:
        with held(partial, f"{path}: another process is making it; wait for it"):
            yield partial
        if path.exists():
            path.rename(old)  # at once; to remove it takes time
        partial.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for each in (partial, old):
            shutil.rmtree(each, ignore_errors=True)


def _remains(parent: Path, prefix: str) -> list[Path]:
    """List the folders of `parent` that are called `prefix` and what mkdtemp adds, or "old".

    No glob: the prefix has a user's name in it. No dot after it: ".a.partial.b.partial.x" is not a folder's named "a".
    """
    name = re.compile(re.escape(prefix) + "[a-z0-9_]+")
    with os.scandir(parent) as entries:
        return [Path(each.path) for each in entries if name.fullmatch(each.name) and each.is_dir(follow_symlinks=False)]


@contextmanager
def held(folder: Path, message: str) -> Iterator[None]:
    """Keep other processes from holding `folder` in the block. Raises InputError of `message` if one does.

    The system lets it go if the process is killed. Does nothing on a file system that has no locks.
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


_held: set[int] = set()


def _let_go() -> None:
    """In a process that was forked, such as a loader's worker: it may live on for seconds when its parent is killed."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)


def check_file(path: Path, parameter: str) -> None:
    """Raise InputError unless `path` is a file or can become one; `parameter` is the option to name."""
    if path.exists() and not path.is_file():
        raise InputError(f"{parameter} {path}: is no regular file; name one".strip())


def check_writable(folder: Path, needed_bytes: int, parameter: str) -> None:
    """Raise InputError unless `folder` can be made and written, DiskFullError without `needed_bytes` of free disk.

    `parameter` is the option to name in the message. Nothing is written: the
    nearest existing parent is asked.
    """
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        raise InputError(f"{parameter} {folder}: {existing} is not a folder; choose another")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(
            f"{parameter} {folder}: {existing} cannot be written; choose another or change its permissions"
        )
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise DiskFullError(
            f"{parameter} {folder}: needs {needed_bytes / 1e9:.1f} GB of free disk, {existing} has {free / 1e9:.1f} GB;"
            " free some or choose another disk"
        )
