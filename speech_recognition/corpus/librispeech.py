"""A folder in LibriSpeech's layout -> the processed dataset.

    SOURCE/<subset>/<speaker>/<chapter>/<speaker>-<chapter>-<utterance>.flac
    SOURCE/<subset>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt

becomes

    DATA_DIR/{train,val,test}/{wav,txt}/<speaker>-<chapter>-<utterance>.{wav,txt}
    DATA_DIR/manifests/{train,val,test}.csv, counts.json

A split that the source has nothing for gets no manifest and counts 0. Recordings that
are not 16 kHz, mono, 16 bits are refused, not converted: LibriSpeech has none. Runs of
spaces in a transcript become one. Nothing else is changed or left out.
"""

import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from params import SAMPLE_RATE
from speech_recognition.corpus.audio import WAV_HEADER_BYTES, read_flac, read_flac_header, write_wav
from speech_recognition.corpus.manifest import (
    SPLITS,
    Counts,
    SplitCounts,
    Utterance,
    check_transcript,
    counts_path,
    read_counts,
    write_counts,
    write_manifest,
)
from speech_recognition.corpus.parallel import in_threads
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_folder, check_writable
from speech_recognition.progress import Progress

_SPLIT_OF_PREFIX = {"train": "train", "dev": "val", "test": "test"}

_OUR_FILES = re.compile(
    r"(train|val|test)/(wav/[^/]+\.wav|txt/[^/]+\.txt)|manifests/((train|val|test)\.csv|counts\.json)"
)

_BLOCK_BYTES = 4096
"""A small file takes this much disk."""


@dataclass(frozen=True)
class Recording:
    """One utterance of the source, before its audio is decoded."""

    id: str
    flac: Path
    transcript: str
    speaker: str
    subset: str
    split: str
    samples: int


def prepare(source: Path, data_dir: Path, dataset: str = "custom", workers: int | None = None) -> Counts:
    """Process a folder in LibriSpeech's layout into `data_dir`, which is there whole or not at all.

    The result depends on the source alone, not on `workers` (threads that decode; by
    default one for each processor). A dataset of the same option at `data_dir` is replaced.
    Notes the utterances and hours of each split on standard error. Raises InputError for
    a source or an output folder that cannot be used.
    """
    check_replaceable(data_dir, dataset)
    recordings = read_source(source)
    needed = sum(WAV_HEADER_BYTES + 2 * each.samples + 2 * _BLOCK_BYTES for each in recordings)
    check_writable(data_dir, needed, "--data-dir")
    start = time.monotonic()
    with atomic_folder(data_dir) as partial:
        counts = _write_dataset(recordings, partial, dataset, workers)
    _note(counts, data_dir, time.monotonic() - start)
    return counts


def check_replaceable(data_dir: Path, dataset: str) -> None:
    """Raise InputError if `data_dir` holds another option's dataset, or any file that is not a dataset's."""
    if not data_dir.exists() or (data_dir.is_dir() and not any(data_dir.iterdir())):
        return
    if not data_dir.is_dir():
        raise InputError(f"--data-dir {data_dir}: not a folder; choose another")
    if not counts_path(data_dir).is_file():
        raise InputError(f"--data-dir {data_dir}: holds files but no dataset; choose another folder")
    present = read_counts(data_dir).dataset
    if present != dataset:
        other = data_dir.with_name(f"{data_dir.name}_{dataset}")
        raise InputError(f"--data-dir {data_dir}: holds the dataset {present!r}, not {dataset!r}; use {other}")
    for file in sorted(path for path in data_dir.rglob("*") if not path.is_dir()):
        if not _OUR_FILES.fullmatch(file.relative_to(data_dir).as_posix()):
            raise InputError(f"--data-dir {data_dir}: {file} is no part of the dataset; move it elsewhere first")


def read_source(source: Path) -> list[Recording]:
    """Every recording below `source`, sorted by id, each paired with its transcript; FLAC headers are checked.

    Raises InputError for the first thing found that is not LibriSpeech's layout.
    """
    if not source.is_dir():
        raise InputError(f"{source}: no such folder; give a folder in LibriSpeech's layout")
    subsets = sorted(path for path in source.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not subsets:
        raise InputError(f"{source}: no subset folder (train-*, dev-*, test-*); give the folder that holds them")
    recordings: dict[str, Recording] = {}
    for subset in subsets:
        for recording in _read_subset(subset):
            if recording.id in recordings:
                first = recordings[recording.id].flac
                raise InputError(f"{recording.flac}: utterance {recording.id} is there twice, first as {first}")
            recordings[recording.id] = recording
    return sorted(recordings.values(), key=lambda recording: recording.id)


def _read_subset(subset: Path) -> Iterator[Recording]:
    prefix, dash, rest = subset.name.partition("-")
    if prefix not in _SPLIT_OF_PREFIX or not dash or not rest:
        raise InputError(f"{subset}: subset folders are named train-*, dev-* or test-*; rename it or move it elsewhere")
    flacs = {path.stem: path for path in _files_in_chapters(subset, ".flac")}
    transcripts = [item for path in _files_in_chapters(subset, ".trans.txt") for item in _read_transcripts(path)]
    if not flacs:
        raise InputError(f"{subset}: no recordings (<speaker>/<chapter>/*.flac); fill it or remove it")
    for name, transcript, where in transcripts:
        flac = flacs.pop(name, None)
        if flac is None:
            raise InputError(f"{where}: utterance {name} has no FLAC file; fetch it or remove the line")
        samples = read_flac_header(flac).samples
        yield Recording(name, flac, transcript, name.split("-")[0], subset.name, _SPLIT_OF_PREFIX[prefix], samples)
    for name, flac in flacs.items():
        raise InputError(
            f"{flac}: utterance {name} has no line in {flac.parent.name}'s .trans.txt; add it or remove it"
        )


def _files_in_chapters(subset: Path, suffix: str) -> Iterator[Path]:
    """Files with a suffix, checked to lie in the folder that their name tells."""
    number = "" if suffix == ".trans.txt" else r"-\d+"
    for path in sorted(subset.rglob("*" + suffix)):
        folders = path.relative_to(subset).parts[:-1]
        expected = re.escape("-".join(folders)) + number + re.escape(suffix)
        if len(folders) != 2 or not re.fullmatch(expected, path.name):
            raise InputError(f"{path}: does not lie at <speaker>/<chapter>/<speaker>-<chapter>...; move or remove it")
        yield path


def _read_transcripts(path: Path) -> Iterator[tuple[str, str, str]]:
    """Utterance id, transcript and place in the file, line by line."""
    chapter = path.name.removesuffix(".trans.txt")
    seen: set[str] = set()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as text ({error}); fetch it again") from None
    for number, line in enumerate(lines, start=1):
        where = f"{path}:{number}"
        name, _, text = line.partition(" ")
        if not re.fullmatch(rf"{re.escape(chapter)}-\d+", name):
            raise InputError(f"{where}: the line must be '{chapter}-<utterance> TRANSCRIPT'; correct it")
        if name in seen:
            raise InputError(f"{where}: utterance {name} is there twice; remove one line")
        seen.add(name)
        transcript = " ".join(word for word in text.split(" ") if word)
        check_transcript(transcript, name, where)
        yield name, transcript, where


def _write_dataset(recordings: Sequence[Recording], folder: Path, dataset: str, workers: int | None) -> Counts:
    for split in sorted({recording.split for recording in recordings}):
        for kind in ("wav", "txt"):
            (folder / split / kind).mkdir(parents=True)
    splits: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    with (
        Progress("prepare", len(recordings), "utterances") as progress,
        in_threads(lambda recording: _process(recording, folder), recordings, workers) as results,
    ):
        for recording, utterance in zip(recordings, results, strict=True):
            splits[recording.split].append(utterance)
            progress.advance(1)
    for split, utterances in splits.items():
        if utterances:
            write_manifest(folder / "manifests" / f"{split}.csv", utterances)
    counts = Counts(dataset, **{split: SplitCounts.of(utterances) for split, utterances in splits.items()})
    write_counts(folder, counts)
    return counts


def _process(recording: Recording, folder: Path) -> Utterance:
    """Decode one recording and write its WAV and text file."""
    audio = folder / recording.split / "wav" / f"{recording.id}.wav"
    text = folder / recording.split / "txt" / f"{recording.id}.txt"
    samples = read_flac(recording.flac)
    write_wav(audio, samples)
    text.write_text(recording.transcript + "\n", encoding="utf-8", newline="\n")
    return Utterance(
        id=recording.id,
        audio=audio,
        text=text,
        transcript=recording.transcript,
        seconds=len(samples) / SAMPLE_RATE,
        samples=len(samples),
        speaker=recording.speaker,
        subset=recording.subset,
        bytes=WAV_HEADER_BYTES + 2 * len(samples),
    )


def _note(counts: Counts, data_dir: Path, elapsed: float) -> None:
    splits = [(split, getattr(counts, split)) for split in SPLITS]
    parts = [f"{split} {each.utterances} utterances, {each.seconds / 3600:.2f} h" for split, each in splits]
    rate = sum(each.utterances for _, each in splits) / max(elapsed, 1e-9)
    print(f"{data_dir}: {'; '.join(parts)} ({rate:.0f} utterances/s)", file=sys.stderr)
