"""The stamp of a dataset's last successful verification; any change of a file invalidates it.

A run of the closed division needs a verified dataset, and reading all of LibriSpeech takes a minute. The stamp holds
the checksum that was found and a digest of every file's size, times and inode, which takes only seconds to compute
again. It lies in the dataset's folder for checksums, which is not in the tar stream.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import xxhash

from speech_recognition.corpus.checksum import FileDifference, Reference, verify
from speech_recognition.corpus.tar_stream import RECORDED, list_files
from speech_recognition.files import atomic_write

_NAME = "verified.json"
"""File name of the stamp, in the dataset's folder for checksums."""


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Evidence that a dataset matched its reference."""

    dataset: str
    """Option of the dataset: mini, all, clean ..."""
    sha256: str
    """SHA-256 of the dataset's tar stream, in hex."""


def verify_and_stamp(folder: Path, reference: Reference, tar_path: Path | None = None) -> list[FileDifference]:
    """Return the files that do not match the reference, as `checksum.verify` does; if there are none, write a stamp.

    No stamp is written if a file changes during the verification or the folder is read-only.
    """
    # Taken before and after: a file that is changed while its neighbours are read must not get a stamp.
    before = _looks(folder) if folder.is_dir() else ""
    differences = verify(folder, reference, tar_path)
    if not differences and _looks(folder) == before:
        stamp = asdict(Verified(dataset=reference.dataset, sha256=reference.sha256)) | {"looks": before}
        try:
            with atomic_write(folder / RECORDED / _NAME) as partial:
                partial.write_text(json.dumps(stamp) + "\n", encoding="utf-8")
        except OSError:  # a dataset on a read-only mount has no stamp and is verified before each run
            pass
    return differences


def read_stamp(folder: Path, sha256: str) -> Verified | None:
    """Return the last verification's evidence, or None if a file has changed since or it found a different SHA-256."""
    path = folder / RECORDED / _NAME
    try:
        stamp = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if stamp.get("sha256") == sha256 and stamp["looks"] == _looks(folder):
            return Verified(dataset=str(stamp["dataset"]), sha256=sha256)
    except (OSError, ValueError, KeyError, AttributeError, RecursionError):
        pass  # a damaged stamp counts as no stamp: the dataset is verified again
    return None


def _looks(folder: Path) -> str:
    """Return a digest of every file's name, mode, size, times and inode.

    Programs can set a file's mtime back after a change, but not its ctime.
    """
    # LibriSpeech's 562,000 files take about 5 s if the system has their inodes in memory.
    digest = xxhash.xxh3_128()
    regular, special = list_files(folder)
    for name in regular + special:
        found = os.lstat(os.path.join(folder, name))
        numbers = (found.st_mode, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
        digest.update(os.fsencode(name) + f"\0{numbers}\n".encode())
    return digest.hexdigest()
