"""The processed dataset on disk: what every source of recordings is turned into.

    DATA_DIR/{train,val,test}/{wav,txt}/<utterance>.{wav,txt}
    DATA_DIR/manifests/{train,val,test}.csv, counts.json

A split that nothing was found for gets no manifest and counts 0.
"""

import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from params import SAMPLE_RATE
from speech_recognition.corpus.audio import WAV_HEADER_BYTES, write_wav
from speech_recognition.corpus.counts import SPLITS, Counts, SplitCounts, counts_path, read_counts, write_counts
from speech_recognition.corpus.manifest import Utterance, read_manifest, write_manifest
from speech_recognition.corpus.manifest_forms import SUFFIXES
from speech_recognition.errors import InputError, one_line
from speech_recognition.files import atomic_folder, check_writable, resolved

_OUR_FILES = re.compile(
    r"(train|val|test)/(wav/[^/]+\.wav|txt/[^/]+\.txt)|checksums/\w+\.(json|files)"
    rf"|manifests/((train|val|test)({'|'.join(map(re.escape, SUFFIXES.values()))})|counts\.json)"
)

_BLOCK_BYTES = 4096
"""A small file takes this much disk."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One utterance of a dataset that is being made; `samples` are those of its WAV file."""

    id: str
    transcript: str
    samples: int
    speaker: str
    subset: str
    split: str


def disk_bytes(utterances: int, samples: int) -> int:
    """What a dataset of this size takes on disk."""
    return utterances * (WAV_HEADER_BYTES + 2 * _BLOCK_BYTES) + 2 * samples


class DatasetWriter:
    """Writes the parts of a dataset into an existing folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for split in SPLITS:
            for kind in ("wav", "txt"):
                (folder / split / kind).mkdir(parents=True)

    def write_audio(self, split: str, utterance_id: str, samples: NDArray[np.int16]) -> None:
        """Write a recording of 16 kHz; to be called from any thread."""
        write_wav(self._path(split, "wav", utterance_id), samples)

    def finish(self, dataset: str, recordings: Iterable[Recording]) -> Counts:
        """Write the transcripts, manifests and counts of all `recordings`, whose audio has been written."""
        splits: dict[str, list[Recording]] = {split: [] for split in SPLITS}
        for each in recordings:
            splits[each.split].append(each)
        for split, members in splits.items():
            members.sort(key=lambda each: (each.samples, each.id))
            if members:
                write_manifest(self.folder / "manifests" / f"{split}.csv", map(self._finish_one, members))
            else:
                for kind in ("wav", "txt", ""):
                    (self.folder / split / kind).rmdir()
        counts = Counts(dataset, *(SplitCounts.of([each.samples for each in splits[split]]) for split in SPLITS))
        write_counts(self.folder, counts)
        return counts

    def _finish_one(self, recording: Recording) -> Utterance:
        """Write the transcript. Returns the row of the manifest."""
        text = self._path(recording.split, "txt", recording.id)
        text.write_text(recording.transcript + "\n", encoding="utf-8", newline="\n")
        return Utterance(
            id=recording.id,
            audio=self._path(recording.split, "wav", recording.id),
            text=text,
            transcript=recording.transcript,
            seconds=recording.samples / SAMPLE_RATE,
            samples=recording.samples,
            speaker=recording.speaker,
            subset=recording.subset,
            bytes=WAV_HEADER_BYTES + 2 * recording.samples,
        )

    def _path(self, split: str, kind: str, utterance_id: str) -> Path:
        return self.folder / split / kind / f"{utterance_id}.{kind}"


def add_manifests(data_dir: Path, form: str) -> None:
    """Write the manifests of a dataset in another form too, beside its own: manifests/train.mlperf.csv and so on."""
    for split in SPLITS:
        manifest = data_dir / "manifests" / f"{split}.csv"
        if manifest.exists():
            write_manifest(manifest.with_name(split + SUFFIXES[form]), read_manifest(manifest), form)


@contextmanager
def new_dataset(data_dir: Path, dataset: str, needed_bytes: int) -> Iterator[DatasetWriter]:
    """Give a writer whose dataset takes the place of `data_dir` when the block ends, whole or not at all.

    Raises InputError if `data_dir` holds anything but a dataset of the same option, cannot
    be written, or lacks `needed_bytes` of disk.
    """
    check_replaceable(data_dir, dataset)
    check_writable(data_dir, needed_bytes, "--data-dir")
    start = time.monotonic()
    with atomic_folder(data_dir) as partial:
        yield DatasetWriter(partial)
    _note(read_counts(data_dir), data_dir, time.monotonic() - start)


def check_replaceable(data_dir: Path, dataset: str) -> None:
    """Raise InputError if `data_dir` holds another option's dataset, any file that is no dataset's, or a mount."""
    if resolved(data_dir).is_mount():
        raise InputError(f"--data-dir {data_dir}: is a mount point, which cannot be replaced; choose a folder in it")
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
    try:
        files = sorted(path for path in data_dir.rglob("*") if not path.is_dir())
    except (OSError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "folders too deep"
        raise InputError(f"--data-dir {data_dir}: cannot be looked through ({reason}); remove what is in it") from None
    for file in files:
        if not _OUR_FILES.fullmatch(file.relative_to(data_dir).as_posix()):
            raise InputError(f"--data-dir {data_dir}: {file} is no part of the dataset; move it elsewhere first")


def _note(counts: Counts, data_dir: Path, elapsed: float) -> None:
    utterances = sum(getattr(counts, split).utterances for split in SPLITS)
    rate = f"{utterances / max(elapsed, 1e-9):.0f} per second"
    print(one_line(f"{data_dir}: {utterances} utterances, {rate}"), file=sys.stderr)
