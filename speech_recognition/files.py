"""Files and folders that are there whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from speech_recognition.errors import InputError


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Give a temporary name in the folder of `path`; what was written there becomes `path`.

    A kill at any moment leaves the old file or the new one. The folder is made
    if it is missing; an exception inside removes the temporary file.
    """
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
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{path.name}.partial."
    old = path.with_name(f"{prefix}old")
    if old.exists() and not path.exists():
        old.rename(path)
    for remains in path.parent.glob(prefix + "*"):
        shutil.rmtree(remains)
    partial = Path(tempfile.mkdtemp(prefix=prefix, dir=path.parent))
    partial.chmod(0o755)
    try:
        yield partial
        if path.exists():
            path.rename(old)  # at once; to remove it takes time
        partial.rename(path)
    finally:
        if old.exists() and not path.exists():
            old.rename(path)
        for each in (partial, old):
            shutil.rmtree(each, ignore_errors=True)


def check_writable(folder: Path, needed_bytes: int, parameter: str) -> None:
    """Raise InputError unless `folder` can be made and written, with `needed_bytes` of free disk.

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
        raise InputError(
            f"{parameter} {folder}: needs {needed_bytes / 1e9:.1f} GB of free disk, {existing} has {free / 1e9:.1f} GB;"
            " free some or choose another disk"
        )
