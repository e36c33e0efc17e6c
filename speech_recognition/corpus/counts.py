"""counts.json: how much there is in each split of a dataset, and which option it is.

The benchmark's log states it before its clock starts, when no dataset file but this one may be read.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from params import LIBRISPEECH_FOLDER, MINI_FOLDER, SAMPLE_RATE
from speech_recognition.corpus.audio import LONGEST_SECONDS
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write, read_regular

SPLITS = ("train", "val", "test")

_LARGEST_FILE = 1 << 20
_LARGEST_NUMBER = 10**12
"""Damaged counts are recognised by it; a float still holds a number of this size exactly."""


@dataclass(frozen=True)
class SplitCounts:
    """One split: its utterances, their length together and the longest, in seconds."""

    utterances: int
    seconds: float
    longest_seconds: float

    @classmethod
    def of(cls, samples: Sequence[int]) -> "SplitCounts":
        """Count from each utterance's samples; they are added as integers, so that the order does not matter."""
        return cls(len(samples), sum(samples) / SAMPLE_RATE, max(samples, default=0) / SAMPLE_RATE)


@dataclass(frozen=True)
class Counts:
    """A dataset's splits (an absent one counts 0) and which option it is: mini, all, custom, ..."""

    dataset: str
    train: SplitCounts
    val: SplitCounts
    test: SplitCounts


def counts_path(dataset_folder: Path) -> Path:
    """Where a dataset's counts lie."""
    return dataset_folder / "manifests" / "counts.json"


def write_counts(dataset_folder: Path, counts: Counts) -> None:
    """Write the counts of a dataset."""
    with atomic_write(counts_path(dataset_folder)) as partial:
        partial.write_text(json.dumps(asdict(counts), indent=2) + "\n", encoding="utf-8")


def read_counts(dataset_folder: Path) -> Counts:
    """Read the counts of a dataset.

    Raises InputError that says which command makes the dataset if the folder is missing,
    empty or no dataset, or its counts are damaged.
    """
    path = counts_path(dataset_folder)
    try:
        return parse_counts(json.loads(read_regular(path, _LARGEST_FILE).decode()))
    except (FileNotFoundError, NotADirectoryError):
        raise missing_dataset(dataset_folder) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from None
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError(f"{path}: damaged; remove {dataset_folder} and {_how_to_make(dataset_folder)}") from None


def parse_counts(content: dict[str, object]) -> Counts:
    """Counts from their JSON object. Raises KeyError or TypeError if it is another."""
    if not isinstance(content["dataset"], str):
        raise TypeError("dataset")
    return Counts(content["dataset"], *(_parse_split(content[split]) for split in SPLITS))


def _parse_split(content: object) -> SplitCounts:
    match content:
        case {
            "utterances": int() as utterances,
            "seconds": int() | float() as seconds,
            "longest_seconds": int() | float() as longest,
        }:
            likely = 0 <= utterances <= _LARGEST_NUMBER and 0 <= seconds <= _LARGEST_NUMBER
            if likely and 0 <= longest <= LONGEST_SECONDS:
                return SplitCounts(utterances, float(seconds), float(longest))
    raise TypeError("split")


def missing_dataset(folder: Path) -> InputError:
    """The error to raise where a dataset should be: what is there instead, and the command that makes it."""
    if not folder.exists():
        found = "no such folder"
    elif not folder.is_dir():
        found = "not a folder"
    else:
        found = "not a dataset (no manifests/counts.json)" if any(folder.iterdir()) else "an empty folder"
    return InputError(f"{folder}: {found}; {_how_to_make(folder)}")


def _how_to_make(folder: Path) -> str:
    if folder.name == MINI_FOLDER:
        return f"make it with: sh download_dataset.sh mini --data-dir {folder}"
    if folder.name == LIBRISPEECH_FOLDER:
        return f"make it with: sh download_dataset.sh --data-dir {folder}"
    return f"make it with: python -m speech_recognition prepare SOURCE --data-dir {folder}"
