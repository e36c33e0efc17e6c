"""The stamp of a dataset's last verification, which any change of its files makes void.

A run of the closed division needs a verified dataset, and reading all of LibriSpeech takes a minute. The stamp says
what the last verification found and how every file looked then (size, times, inode), which takes seconds to compare.
It lies in the dataset's own folder for checksums, which is no part of the tar stream.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import xxhash

from speech_recognition.corpus.checksum import Difference, Reference, verify
from speech_recognition.corpus.tar_stream import RECORDED, list_files
from speech_recognition.files import atomic_write

_NAME = "verified.json"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """A dataset whose checksum was found to be the reference's."""

    dataset: str
    sha256: str
    """of its tar stream"""


def verify_and_stamp(folder: Path, reference: Reference, tar_path: Path | None = None) -> list[Difference]:
    """Verify the dataset as `checksum.verify` does; where nothing differs, leave a stamp if the folder can be written.

    A file that changes while the dataset is read leaves no stamp.
    """
    before = _looks(folder) if folder.is_dir() else ""
    differences = verify(folder, reference, tar_path)
    if not differences and _looks(folder) == before:
        stamp = asdict(Verified(dataset=reference.dataset, sha256=reference.sha256)) | {"looks": before}
        try:
            with atomic_write(folder / RECORDED / _NAME) as partial:
                partial.write_text(json.dumps(stamp) + "\n", encoding="utf-8")
        except OSError:  # a dataset that is mounted read-only is verified before each run
            pass
    return differences


def read_stamp(folder: Path, sha256: str) -> Verified | None:
    """Return what the last verification found; None unless it found `sha256` and no file has changed since."""
    path = folder / RECORDED / _NAME
    try:
        stamp = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if stamp.get("sha256") == sha256 and stamp["looks"] == _looks(folder):
            return Verified(dataset=str(stamp["dataset"]), sha256=sha256)
    except (OSError, ValueError, KeyError, AttributeError, RecursionError):
        pass  # a stamp that cannot be read is none
    return None


def _looks(folder: Path) -> str:
    """Digest of every file's name, size, times and inode. ctime is among them: no program can set it back."""
    digest = xxhash.xxh3_128()
    regular, special = list_files(folder)
    for name in regular + special:
        found = os.lstat(os.path.join(folder, name))
        numbers = (found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        digest.update(os.fsencode(name) + f"\0{numbers}\n".encode())
    return digest.hexdigest()
