"""Whether a dataset is, byte for byte, the one that the reference describes.

The reference is NAME.json (SHA-256 of the tar stream, sizes, counts) and NAME.files, a line
for each file with its short sum, by which a difference is named. It is pinned in the
repository, or, where nobody has pinned one yet, was recorded in the dataset's own folder
when it was made. A recorded one counts only if it names the catalog's archives, each with the
SHA-256 that it was found to have, and has as many utterances as these.
"""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from speech_recognition.corpus.counts import SPLITS, Counts, missing_dataset, parse_counts, read_counts
from speech_recognition.corpus.librispeech.catalog import Archive, read_catalog, utterances_by_split
from speech_recognition.corpus.tar_stream import NO_REGULAR_FILE, RECORDED, scan
from speech_recognition.errors import InputError, one_line
from speech_recognition.files import atomic_write, check_writable, read_regular

CATALOG_NAME = "librispeech.json"
"""The catalog of archives, in the folder of the pinned references."""

_DIGITS = 16

_LARGEST_SUMMARY, _LARGEST_LIST = 1 << 20, 1 << 28
"""Bytes of NAME.json and of NAME.files; LibriSpeech's list of 562,000 files has 32 MB."""

_LARGEST_TAR = 1 << 50


@dataclass(frozen=True)
class Reference:
    """What a dataset must be. `sums` are those of its files; `origin` says who made it."""

    dataset: str
    sha256: str
    tar_bytes: int
    counts: Counts
    sums: dict[str, str]
    origin: str
    archives: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each archive that the dataset was made of; empty for a pinned reference"""


@dataclass(frozen=True)
class Difference:
    """A file that is not as the reference has it; `kind` is missing, extra or differs."""

    path: str
    kind: str

    def __str__(self) -> str:
        return one_line(f"{self.kind}: {self.path}")


def verify(folder: Path, reference: Reference, tar_path: Path | None = None) -> list[Difference]:
    """What is different in `folder` from the reference, sorted by path; nothing means that the checksum agrees.

    The stream that is checksummed is kept at `tar_path`. Raises InputError if there is no dataset,
    and as `scan` does.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise missing_dataset(folder)
    if tar_path is None:
        found = scan(folder)
    else:
        check_writable(tar_path.parent, reference.tar_bytes, "--tar")
        with atomic_write(tar_path) as partial, partial.open("wb") as file:
            found = scan(folder, file)
    names = sorted(found.sums | reference.sums, key=os.fsencode)
    kinds = {name: _compare(found.sums.get(name), reference.sums.get(name)) for name in names}
    differences = [Difference(name, kind) for name, kind in kinds.items() if kind]
    if not differences and (found.sha256, found.bytes) != (reference.sha256, reference.tar_bytes):
        raise InputError(f"reference of {reference.dataset}: its checksum does not belong to its list; restore both")
    return differences


def _compare(found: str | None, expected: str | None) -> str:
    if found == expected:
        return ""
    if found is None:
        return "missing"
    return "extra" if expected is None else "differs"


def find_reference(name: str, pinned: Path, folder: Path) -> Reference:
    """Return the reference of a dataset: that in the folder `pinned`, else the one recorded in the dataset's folder.

    Raises InputError if there is neither, if it is damaged, or if the recorded one is not of the catalog's archives.
    """
    recorded = folder / RECORDED
    if (pinned / f"{name}.json").exists():
        return read_reference(pinned, name, f"pinned in {pinned.name}")
    present = read_counts(folder).dataset
    if present != name:
        raise InputError(
            f"{folder}: holds the dataset {present!r}, not {name!r}; give the folder of {name!r} with --data-dir"
        )
    if (recorded / f"{name}.json").exists():
        reference = read_reference(recorded, name, "recorded at preparation, from archives that matched their SHA-256")
        _check_record(reference, read_catalog(pinned / CATALOG_NAME).options.get(name, ()), folder)
        return reference
    raise InputError(
        f"{folder}: no checksum of {name!r} is pinned, and none was recorded here;"
        f" make it with: sh download_dataset.sh {name}"
    )


def _check_record(reference: Reference, archives: Sequence[Archive], folder: Path) -> None:
    counts = {split: getattr(reference.counts, split).utterances for split in SPLITS}
    made_of = {archive.file: archive.sha256 for archive in archives}
    if reference.archives != made_of or counts != utterances_by_split(archives):
        raise InputError(
            f"{folder / RECORDED}: the record of {reference.dataset!r} does not name the catalog's archives, or has"
            f" other counts than these; make the dataset again with: sh download_dataset.sh {reference.dataset}"
        )


def write_reference(folder: Path, reference_dir: Path, name: str, archives: Sequence[Archive] = ()) -> None:
    """Make the dataset in `folder` the reference: write NAME.json and NAME.files.

    `archives` are those that the dataset was just made of, all found to have their SHA-256. Raises InputError if
    there is no dataset, if it is another option's, or if it holds what is no regular file.
    """
    counts = read_counts(folder)
    if counts.dataset != name:
        raise InputError(f"{folder}: holds the dataset {counts.dataset!r}, not {name!r}; give its folder")
    found = scan(folder)
    for path, digits in found.sums.items():
        if digits == NO_REGULAR_FILE:
            raise InputError(f"{folder / path}: not a regular file; remove it")
    summary = {"dataset": name, "sha256": found.sha256, "tar_bytes": found.bytes, "files": len(found.sums)}
    summary |= {"counts": asdict(counts)}
    if archives:
        summary |= {"archives": {archive.file: archive.sha256 for archive in archives}}
    with atomic_write(reference_dir / f"{name}.files") as partial:
        lines = [f"{digits} {path}\n" for path, digits in found.sums.items()]
        partial.write_text("".join(lines), encoding="utf-8", newline="\n")
    with atomic_write(reference_dir / f"{name}.json") as partial:
        partial.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8", newline="\n")


def read_reference(reference_dir: Path, name: str, origin: str) -> Reference:
    """Read the reference of a dataset. Raises InputError if it is missing or damaged."""
    path = reference_dir / f"{name}.json"
    try:
        summary = json.loads(read_regular(path, _LARGEST_SUMMARY).decode())
        lines = read_regular(reference_dir / f"{name}.files", _LARGEST_LIST).decode().splitlines()
        sums = {line[_DIGITS + 1 :]: line[:_DIGITS] for line in lines}
        sha256, tar_bytes, files = summary["sha256"], summary["tar_bytes"], summary["files"]
        if not re.fullmatch("[0-9a-f]{64}", sha256) or not 0 < tar_bytes < _LARGEST_TAR:
            raise ValueError("no likely sum or size")
        counts, archives = parse_counts(summary["counts"]), dict(summary.get("archives", {}))
        reference = Reference(name, sha256, int(tar_bytes), counts, sums, origin, archives)
    except OSError as error:
        raise InputError(f"{error.filename}: reference cannot be read ({error.strerror}); restore it") from None
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: damaged reference; restore it and {name}.files") from None
    if summary.get("dataset") != name or len(sums) != files:
        raise InputError(f"{path}: {name}.files does not belong to it; restore both")
    return reference
