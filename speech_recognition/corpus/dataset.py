"""The processed dataset on disk, the same for every source of recordings.

    DATA_DIR/{train,val,test}/{wav,txt}/<utterance>.{wav,txt}
    DATA_DIR/manifests/{train,val,test}.csv, counts.json

A split without utterances has neither a folder nor a manifest, and its counts are 0.
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

from speech_recognition.corpus.audio import WAV_HEADER_BYTES, write_wav
from speech_recognition.corpus.counts import SPLITS, Counts, SplitCounts, counts_path, read_counts, write_counts
from speech_recognition.corpus.manifest import Utterance, read_manifest, write_manifest
from speech_recognition.corpus.manifest_forms import SUFFIXES
from speech_recognition.errors import InputError, one_line
from speech_recognition.files import atomic_folder, check_writable, resolved
from speech_recognition.parameters import SAMPLE_RATE

_OUR_FILES = re.compile(
    r"(train|val|test)/(wav/[^/]+\.wav|txt/[^/]+\.txt)|checksums/\w+\.(json|files)"
    rf"|manifests/((train|val|test)({'|'.join(map(re.escape, SUFFIXES.values()))})|counts\.json)"
)
"""Paths of the files that this package writes into a dataset: any other file there is the user's."""

_BLOCK_BYTES = 4096
"""Allocation unit of common file systems: the least disk space of a file."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One utterance of a dataset that is being written."""

    id: str
    """Utterance id: the name of its files, without suffix."""
    transcript: str
    """Words in capitals, separated by single spaces."""
    samples: int
    """Number of samples at 16 kHz in its WAV file."""
    speaker: str
    """Name of the speaker; LibriSpeech's are numbers."""
    subset: str
    """Name of the subset that it is from, such as dev-clean."""
    split: str
    """Split that it belongs to: train, val or test."""


def disk_bytes(utterances: int, samples: int) -> int:
    """Return the bytes of disk for this many utterances with `samples` 16-bit samples in total."""
    # Two blocks per utterance: its text file, and the last block of its WAV file, which is only partly filled. For
    # LibriSpeech's 292,367 utterances that makes 2.4 GB.
    return utterances * (WAV_HEADER_BYTES + 2 * _BLOCK_BYTES) + 2 * samples


class DatasetWriter:
    """Writer of one dataset into an existing, empty folder: first the audio, in any order, then everything else."""

    def __init__(self, folder: Path) -> None:
        """Make the folders of audio and transcripts of every split in `folder`."""
        self.folder = folder
        """Folder of the new dataset."""
        for split in SPLITS:
            for kind in ("wav", "txt"):
                (folder / split / kind).mkdir(parents=True)

    def write_audio(self, split: str, utterance_id: str, samples: NDArray[np.int16]) -> None:
        """Write the WAV file of an utterance from its samples at 16 kHz. Safe to call from several threads."""
        write_wav(self._path(split, "wav", utterance_id), samples)

    def finish(self, dataset: str, recordings: Iterable[Recording]) -> Counts:
        """Write the transcripts, manifests and counts of `recordings`; return the counts.

        The audio of every recording must have been written before.
        """
        splits: dict[str, list[Recording]] = {split: [] for split in SPLITS}
        for each in recordings:
            splits[each.split].append(each)
        for split, members in splits.items():
            members.sort(key=lambda each: (each.samples, each.id))  # the order of `manifest.by_length`
            if members:
                # Row by row: all of LibriSpeech's utterances with their paths would take 360 MB.
                write_manifest(self.folder / "manifests" / f"{split}.csv", map(self._finish_one, members))
            else:
                for kind in ("wav", "txt", ""):  # "" is the split's own folder, empty by then
                    (self.folder / split / kind).rmdir()
        counts = Counts(dataset, *(SplitCounts.of([each.samples for each in splits[split]]) for split in SPLITS))
        write_counts(self.folder, counts)
        return counts

    def _finish_one(self, recording: Recording) -> Utterance:
        """Write the transcript file of an utterance; return its manifest row."""
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
        """Return the path of an utterance's file; `kind` is wav or txt."""
        return self.folder / split / kind / f"{utterance_id}.{kind}"


def add_manifests(data_dir: Path, form: str) -> None:
    """Write each manifest of a dataset in a second form beside the first, as manifests/train.mlperf.csv."""
    for split in SPLITS:
        manifest = data_dir / "manifests" / f"{split}.csv"
        if manifest.exists():
            write_manifest(manifest.with_name(split + SUFFIXES[form]), read_manifest(manifest), form)


@contextmanager
def new_dataset(data_dir: Path, dataset: str, needed_bytes: int) -> Iterator[DatasetWriter]:
    """Yield a writer; when the block ends without an exception, its dataset replaces `data_dir` in one step.

    Raises InputError if `data_dir` holds anything but a dataset of the same option, cannot
    be written, or has less than `needed_bytes` of free disk.
    """
    check_replaceable(data_dir, dataset)
    check_writable(data_dir, needed_bytes, "--data-dir")
    start = time.monotonic()
    with atomic_folder(data_dir) as partial:
        yield DatasetWriter(partial)
    _note(read_counts(data_dir), data_dir, time.monotonic() - start)


def check_replaceable(data_dir: Path, dataset: str) -> None:
    """Raise InputError unless `data_dir` is absent, empty, or a dataset of the same option with no other files.

    Replacing deletes everything in the folder, so one file that this package did not write
    is enough to refuse. A mount point cannot be renamed and is refused too.
    """
    if resolved(data_dir).is_mount():
        raise InputError(
            f"--data-dir {data_dir}: is a mount point, which cannot be replaced; choose a folder inside it"
        )
    if not data_dir.exists() or (data_dir.is_dir() and not any(data_dir.iterdir())):
        return
    if not data_dir.is_dir():
        raise InputError(f"--data-dir {data_dir}: not a folder; choose a different path")
    if not counts_path(data_dir).is_file():
        raise InputError(f"--data-dir {data_dir}: holds files but no dataset; choose a different folder")
    present = read_counts(data_dir).dataset
    if present != dataset:
        other = data_dir.with_name(f"{data_dir.name}_{dataset}")
        raise InputError(f"--data-dir {data_dir}: holds the dataset {present!r}, not {dataset!r}; use {other}")
    try:
        # A link to a folder counts as a file: the link would be deleted with the rest.
        files = sorted(path for path in data_dir.rglob("*") if path.is_symlink() or not path.is_dir())
    except (OSError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "folders too deep"
        raise InputError(f"--data-dir {data_dir}: cannot be searched ({reason}); remove its contents") from None
    for file in files:
        if not _OUR_FILES.fullmatch(file.relative_to(data_dir).as_posix()):
            raise InputError(f"--data-dir {data_dir}: {file} is not part of the dataset; move it elsewhere first")


def _note(counts: Counts, data_dir: Path, elapsed: float) -> None:
    """Print the size of a new dataset and the rate at which it was made."""
    utterances = sum(getattr(counts, split).utterances for split in SPLITS)
    rate = f"{utterances / max(elapsed, 1e-9):.0f} per second"
    print(one_line(f"{data_dir}: {utterances} utterances, {rate}"), file=sys.stderr)
