"""The manifest, a table of utterances, one CSV file per split; and the counts of a dataset.

Paths in a manifest are relative to its base folder: the dataset, when the manifest
lies in a folder called `manifests` of it, else the folder that holds the manifest.
So a part of a manifest can be saved beside it and used like the whole:

    head -51 D/manifests/train.csv > D/manifests/fifty.csv

counts.json holds how much there is in each split. The benchmark's log states it before
its clock starts, when no dataset file but this one may be read.
"""

import csv
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

from params import LIBRISPEECH_FOLDER, MINI_FOLDER, SAMPLE_RATE
from speech_recognition.alphabet import unknown_symbols
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write

SPLITS = ("train", "val", "test")

COLUMNS = ("utterance_id", "audio", "text", "transcript", "seconds", "samples", "speaker", "subset", "bytes")


@dataclass(frozen=True)
class Utterance:
    """One recording with its transcript.

    `audio` is a 16 kHz WAV of `samples` samples and `bytes` bytes, `text` a file that holds
    `transcript` and a newline; `speaker` and `subset` are LibriSpeech's.
    """

    id: str
    audio: Path
    text: Path
    transcript: str
    seconds: float
    samples: int
    speaker: str
    subset: str
    bytes: int


def by_length(each: Utterance) -> tuple[int, str]:
    """The key that sorts a manifest: shortest utterance first, equal lengths by id."""
    return each.samples, each.id


def base_folder(manifest: Path) -> Path:
    """The folder that a manifest's paths are relative to."""
    folder = manifest.absolute().parent
    return folder.parent if folder.name == "manifests" else folder


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> None:
    """Write a manifest, in the order given."""
    base = base_folder(path)
    with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for each in utterances:
            audio, text = _portable(each.audio, base), _portable(each.text, base)
            row = (each.id, audio, text, each.transcript, each.seconds, each.samples)
            writer.writerow((*row, each.speaker, each.subset, each.bytes))


def _portable(path: Path, base: Path) -> str:
    absolute = path.absolute()
    return absolute.relative_to(base).as_posix() if absolute.is_relative_to(base) else absolute.as_posix()


def read_manifest(path: Path) -> list[Utterance]:
    """Utterances, shortest first (equal lengths by id) whatever the file's order, with absolute paths, all checked.

    Raises InputError, naming the file and the line, if the file is missing, has other
    columns or no rows, or if a row has a bad number, an id that came before, an empty
    transcript, a character outside the alphabet, or an audio file that does not exist.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return _read_rows(path, file)
    except OSError as error:
        raise InputError(f"{path}: manifest cannot be read ({error.strerror}); give one that exists") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: not a manifest in CSV and UTF-8 ({error}); prepare the dataset again") from None


def _read_rows(path: Path, file: TextIO) -> list[Utterance]:
    reader = csv.reader(file, strict=True)
    if tuple(next(reader, ())) != COLUMNS:
        raise InputError(f"{path}:1: not the header of a manifest; it must be {','.join(COLUMNS)}")
    base = base_folder(path)
    utterances: dict[str, Utterance] = {}
    for row in reader:
        where = f"{path}:{reader.line_num}"
        utterance = _parse(row, base, where)
        if utterance.id in utterances:
            raise InputError(f"{where}: utterance {utterance.id} is there twice; remove one row")
        utterances[utterance.id] = utterance
    if not utterances:
        raise InputError(f"{path}: no utterances; prepare the dataset again or give another manifest")
    return sorted(utterances.values(), key=by_length)


def _parse(row: list[str], base: Path, where: str) -> Utterance:
    if len(row) != len(COLUMNS):
        raise InputError(f"{where}: {len(row)} fields, must be {len(COLUMNS)} ({','.join(COLUMNS)})")
    name, audio, text, transcript, seconds, samples, speaker, subset, size = row
    if not name:
        raise InputError(f"{where}: utterance_id is empty; give every row its own")
    utterance = Utterance(
        id=name,
        audio=base / audio,
        text=base / text,
        transcript=transcript,
        seconds=_positive(seconds, "seconds", where),
        samples=_positive_whole(samples, "samples", where),
        speaker=speaker,
        subset=subset,
        bytes=_positive_whole(size, "bytes", where),
    )
    check_transcript(transcript, name, where)
    if not utterance.audio.is_file():
        raise InputError(f"{where}: audio file {utterance.audio} does not exist; correct the path or make it again")
    return utterance


def check_transcript(transcript: str, utterance_id: str, where: str) -> None:
    """Raise InputError, beginning with `where`, if a transcript is empty or has a character that no model can write."""
    if not transcript.strip():
        raise InputError(f"{where}: the transcript of utterance {utterance_id} is empty; correct or remove it")
    unknown = unknown_symbols(transcript)
    if unknown:
        raise InputError(
            f"{where}: {unknown[0]!r} in utterance {utterance_id} is outside the alphabet"
            " (A to Z, apostrophe, space); correct the transcript"
        )


def _positive(value: str, column: str, where: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{where}: {column} is {value!r}, must be a number above 0")
    return number


def _positive_whole(value: str, column: str, where: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 16 and int(value) > 0):
        raise InputError(f"{where}: {column} is {value!r}, must be a whole number above 0")
    return int(value)


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
        return parse_counts(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, NotADirectoryError):
        raise missing_dataset(dataset_folder) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from None
    except (ValueError, KeyError, TypeError):
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
