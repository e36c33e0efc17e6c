"""Comparison of a dataset with its reference, byte for byte.

A reference is NAME.json (SHA-256 of the tar stream, sizes, counts) and NAME.files (a line with
the short sum of each file, which shows which files differ). It is pinned in the repository
or, where nobody has pinned one yet, was recorded in the dataset's own folder when the dataset
was made. A recorded reference is accepted only if it names the catalog's archives with their
SHA-256 and has as many utterances as they have.
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
"""File name of the catalog of archives, in the folder of the pinned references."""

_DIGITS = 16
"""Hex digits of a file's short sum, at the beginning of its line."""

_LARGEST_SUMMARY, _LARGEST_LIST = 1 << 20, 1 << 28
"""Most bytes of NAME.json and of NAME.files; LibriSpeech's list of 562,000 files takes 32 MB."""

_LARGEST_TAR = 1 << 50
"""Largest plausible size of the tar stream, in bytes; LibriSpeech's has 114 GB (2^37)."""


@dataclass(frozen=True)
class Reference:
    """Expected content of a dataset."""

    dataset: str
    """Option of the dataset: mini, all, clean ..."""
    sha256: str
    """SHA-256 of the dataset's tar stream, in hex."""
    tar_bytes: int
    """Length of the tar stream in bytes."""
    counts: Counts
    """Number and duration of the utterances in each split."""
    sums: dict[str, str]
    """Short sum of each file, by its path in the dataset."""
    origin: str
    """Where the reference is from, for messages: pinned in the repository, or recorded at preparation."""
    archives: dict[str, str] = field(default_factory=dict)
    """SHA-256 of each archive that the dataset was made from, by file name; empty for a pinned reference."""


@dataclass(frozen=True)
class FileDifference:
    """A file that does not match the reference."""

    path: str
    """Path of the file in the dataset."""
    kind: str
    """Kind of the difference: "missing", "extra" or "differs"."""

    def __str__(self) -> str:
        return one_line(f"{self.kind}: {self.path}")


def verify(folder: Path, reference: Reference, tar_path: Path | None = None) -> list[FileDifference]:
    """Return the files of `folder` that do not match the reference, sorted by path; an empty list means a match.

    If `tar_path` is given, the tar stream whose checksum is computed is written to it. Raises
    InputError if `folder` has no dataset or a file that cannot be read, or if `tar_path` cannot be written.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise missing_dataset(folder)
    if tar_path is None:
        found = scan(folder)
    else:
        check_writable(tar_path.parent, reference.tar_bytes, "--tar")
        with atomic_write(tar_path) as partial, partial.open("wb") as file:
            found = scan(folder, file)
    # In the stream's order; names may be bytes that are not UTF-8.
    names = sorted(found.sums | reference.sums, key=os.fsencode)
    kinds = {name: _compare(found.sums.get(name), reference.sums.get(name)) for name in names}
    differences = [FileDifference(name, kind) for name, kind in kinds.items() if kind]
    # A damaged file keeps its 64-bit sum with a chance of 1 in 2^64, so the fault is more likely in the reference.
    if not differences and (found.sha256, found.bytes) != (reference.sha256, reference.tar_bytes):
        raise InputError(
            f"reference of {reference.dataset}: its checksum and its list of files contradict each other; restore both"
        )
    return differences


def _compare(found: str | None, expected: str | None) -> str:
    """Return the kind of difference between two sums of a file, None for an absent file; "" if they are equal."""
    if found == expected:
        return ""
    if found is None:
        return "missing"
    return "extra" if expected is None else "differs"


def find_reference(name: str, pinned: Path, folder: Path) -> Reference:
    """Return the reference in the folder `pinned`, or else the one recorded in the dataset's own folder.

    Raises InputError if neither exists, if the reference is damaged, or if the recorded one does not name the
    catalog's archives.
    """
    recorded = folder / RECORDED
    # The pinned one first: whoever can change the dataset can also change what is recorded in its folder.
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
        f" make the dataset with: sh download_dataset.sh {name}"
    )


def _check_record(reference: Reference, archives: Sequence[Archive], folder: Path) -> None:
    """Raise InputError unless a recorded reference names the catalog's archives and has as many utterances.

    The record is a user's file: its own counts, the dataset's counts and its list of recordings must all agree with
    the catalog. Only a pinned checksum tells a forged dataset of full size from the real one.
    """
    expected = utterances_by_split(archives)
    counts = {split: getattr(reference.counts, split).utterances for split in SPLITS}
    listed = {split: sum(_is_recording(name, split) for name in reference.sums) for split in SPLITS}
    made_of = {archive.file: archive.sha256 for archive in archives}
    own = read_counts(folder) == reference.counts  # the log of a run states the dataset's own counts
    if not (own and reference.archives == made_of and counts == listed == expected):
        raise InputError(
            f"{folder / RECORDED}: the record of {reference.dataset!r} does not name the catalog's archives, or its"
            f" counts are not theirs; make the dataset again with: sh download_dataset.sh {reference.dataset}"
        )


def _is_recording(name: str, split: str) -> bool:
    """Return whether `name` is the path of a recording in a split."""
    return name.startswith(f"{split}/wav/") and name.endswith(".wav")


def write_reference(folder: Path, reference_dir: Path, name: str, archives: Sequence[Archive] = ()) -> None:
    """Write NAME.json and NAME.files from the dataset in `folder`, which becomes the reference.

    `archives` are the ones that the dataset has just been made from, after their SHA-256 was checked. Raises
    InputError if `folder` has no dataset, one of a different option, or anything that is not a regular file.
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
    # The list first: a kill between the two then leaves no NAME.json, by which `find_reference` knows a reference.
    with atomic_write(reference_dir / f"{name}.files") as partial:
        lines = [f"{digits} {path}\n" for path, digits in found.sums.items()]
        partial.write_text("".join(lines), encoding="utf-8", newline="\n")
    with atomic_write(reference_dir / f"{name}.json") as partial:
        partial.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8", newline="\n")


def read_reference(reference_dir: Path, name: str, origin: str) -> Reference:
    """Return the reference of a dataset from its two files. Raises InputError if they are missing or damaged."""
    path = reference_dir / f"{name}.json"
    try:
        summary = json.loads(read_regular(path, _LARGEST_SUMMARY).decode())
        lines = read_regular(reference_dir / f"{name}.files", _LARGEST_LIST).decode().splitlines()
        # Cut at a fixed place, because a path may have spaces in it.
        sums = {line[_DIGITS + 1 :]: line[:_DIGITS] for line in lines}
        sha256, tar_bytes, files = summary["sha256"], summary["tar_bytes"], summary["files"]
        if not re.fullmatch("[0-9a-f]{64}", sha256) or not 0 < tar_bytes < _LARGEST_TAR:
            raise ValueError("implausible sum or size")
        counts, archives = parse_counts(summary["counts"]), dict(summary.get("archives", {}))
        reference = Reference(name, sha256, int(tar_bytes), counts, sums, origin, archives)
    except OSError as error:
        raise InputError(f"{error.filename}: reference cannot be read ({error.strerror}); restore it") from None
    except InputError:  # a ValueError too, but its message is complete
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: damaged reference; restore it and {name}.files") from None
    if summary.get("dataset") != name or len(sums) != files:
        raise InputError(f"{path}: does not match {name}.files; restore both")
    return reference
