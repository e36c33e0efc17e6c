"""counts.json: the number and duration of the utterances in each split of a dataset, and the dataset's option.

A run logs these numbers before its clock starts, when MLPerf allows no dataset file but this one to be read.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from speech_recognition.corpus.audio import LONGEST_SECONDS
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write, read_regular
from speech_recognition.parameters import (
    CLEAN_SMALL_FOLDER,
    LIBRISPEECH_FOLDER,
    MINI_FOLDER,
    SAMPLE_RATE,
    SMALL_FOLDER,
)

SPLITS = ("train", "val", "test")
"""Splits of a dataset: names of its folders, of its manifests and of the fields of Counts."""

_LARGEST_FILE = 1 << 20
"""Most bytes of counts.json; it has about 500."""

_DOWNLOADED = {
    MINI_FOLDER: ("mini", ""),
    SMALL_FOLDER: ("small", " (0.5 GB of archives, 0.9 GB of dataset)"),
    CLEAN_SMALL_FOLDER: ("clean_small", " (7 GB of archives, 13 GB of dataset)"),
    LIBRISPEECH_FOLDER: (
        "all",
        " (61 GB of archives, 113 GB of dataset); to try the benchmark in minutes: sh run_and_time.sh mini",
    ),
}
"""For each preset's folder, the option of `download` that makes its dataset, and the end of the hint to use it."""

_LARGEST_NUMBER = 10**12
"""Largest plausible count or number of seconds: above it, the file is damaged. A float holds it exactly."""


@dataclass(frozen=True)
class SplitCounts:
    """Size of one split of a dataset."""

    utterances: int
    """Number of utterances."""
    seconds: float
    """Duration of all utterances together, in seconds."""
    longest_seconds: float
    """Duration of the longest utterance, in seconds."""

    @classmethod
    def of(cls, samples: Sequence[int]) -> "SplitCounts":
        """Return the counts of utterances with these numbers of samples.

        Samples are added as integers: the sum of floats would depend on the order.
        """
        # 16,000 = 2^7 x 125, so most durations have no exact float; this division rounds once.
        return cls(len(samples), sum(samples) / SAMPLE_RATE, max(samples, default=0) / SAMPLE_RATE)


@dataclass(frozen=True)
class Counts:
    """Sizes of a dataset's splits; an absent split's numbers are 0."""

    dataset: str
    """Option that the dataset was made for: mini, all, clean, custom ..."""
    train: SplitCounts
    """Size of the training set."""
    val: SplitCounts
    """Size of the validation set, on which the benchmark's WER is measured."""
    test: SplitCounts
    """Size of the test set."""


def counts_path(dataset_folder: Path) -> Path:
    """Return the path of counts.json in a dataset."""
    return dataset_folder / "manifests" / "counts.json"


def write_counts(dataset_folder: Path, counts: Counts) -> None:
    """Write counts.json of a dataset."""
    with atomic_write(counts_path(dataset_folder)) as partial:
        partial.write_text(json.dumps(asdict(counts), indent=2) + "\n", encoding="utf-8")


def read_counts(dataset_folder: Path) -> Counts:
    """Return the content of counts.json of a dataset.

    Raises InputError if the folder is missing, empty or not a dataset, or if the file is
    damaged; the message names the command that makes the dataset.
    """
    path = counts_path(dataset_folder)
    try:
        return parse_counts(json.loads(read_regular(path, _LARGEST_FILE).decode()))
    except (FileNotFoundError, NotADirectoryError):
        raise missing_dataset(dataset_folder) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from None
    except InputError:  # a ValueError too, but its message is complete
        raise
    except (ValueError, KeyError, TypeError, RecursionError):  # RecursionError: deeply nested brackets
        raise InputError(f"{path}: damaged; remove {dataset_folder} and {_how_to_make(dataset_folder)}") from None


def parse_counts(content: dict[str, object]) -> Counts:
    """Return the counts that a JSON object holds. Raises KeyError or TypeError if the object has a different form."""
    if not isinstance(content["dataset"], str):
        raise TypeError("dataset")
    return Counts(content["dataset"], *(_parse_split(content[split]) for split in SPLITS))


def _parse_split(content: object) -> SplitCounts:
    """Return one split's counts from its JSON object. Raises TypeError for wrong types and implausible numbers."""
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


def option_of(folder: str) -> str | None:
    """Return the option of `download` that makes the dataset in a preset's folder; None for any other folder."""
    return _DOWNLOADED[folder][0] if folder in _DOWNLOADED else None


def missing_dataset(folder: Path) -> InputError:
    """Return the error for a folder without a dataset: it says what is there and which command makes one."""
    if not folder.exists():
        found = "no such folder"
    elif not folder.is_dir():
        found = "not a folder"
    else:
        found = "not a dataset (no manifests/counts.json)" if any(folder.iterdir()) else "an empty folder"
    return InputError(f"{folder}: {found}; {_how_to_make(folder)}")


def _how_to_make(folder: Path) -> str:
    """Return the command that makes the dataset which is expected in `folder`, guessed from the folder's name."""
    if folder.name in _DOWNLOADED:
        option, note = _DOWNLOADED[folder.name]
        return f"make it with: sh download_dataset.sh {option} --data-dir {folder}{note}"
    # A folder with a name of the user's own is most likely meant for recordings of the user's own.
    return f"make it with: python -m speech_recognition prepare SOURCE --data-dir {folder}"
