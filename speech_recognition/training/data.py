"""The data of a run, read when its clock runs: the utterances that can be trained on, and the validation set."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOBase
from pathlib import Path

import numpy as np
import torch

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.corpus.quick_manifest import read_table
from speech_recognition.corpus.table import Table
from speech_recognition.errors import InputError
from speech_recognition.recognizer import Recognizer
from speech_recognition.training.epochs import TrainingSet, set_digest
from speech_recognition.training.job import Job


@dataclass(frozen=True, kw_only=True)
class RunData:
    """Training and validation set of a run, with their digests."""

    train_set: TrainingSet
    """Utterances that the run trains on."""
    val_set: Sequence[Utterance]
    """Utterances that the run is evaluated on."""
    train_digest: str
    """Digest of the training set, which every checkpoint holds."""
    val_digest: str
    """Digest of the validation set, which every checkpoint holds."""


def read_data(job: Job, recognizer: Recognizer, output: TextIOBase) -> RunData:
    """Return the data of a job, read from its manifests; write to the log which utterances are left out.

    Raises InputError for a manifest that cannot be used, and for sets other than those of the run's checkpoint.
    """
    train = _usable(job, _read(job.train_manifest, job.train_utterances), recognizer, output)
    val = _read(job.val_manifest, job.val_utterances)
    train_digest, val_digest = set_digest(train), set_digest(val)
    if job.state and job.state.train_set != train_digest:
        raise InputError(f"{job.train_manifest}: not the utterances that the checkpoint was trained on; name those")
    if job.state and job.state.val_set != val_digest:
        raise InputError(f"{job.val_manifest}: not the utterances that the run was evaluated on; name those")
    train_set = TrainingSet(train, job.params, job.seed)
    return RunData(train_set=train_set, val_set=val, train_digest=train_digest, val_digest=val_digest)


def _read(manifest: Path, count: int) -> Table:
    """Return the utterances of a manifest. Raises InputError unless there are as many as counts.json says."""
    # The division and the warm-up were decided by counts.json, since reading a manifest is on the clock.
    utterances = read_table(manifest)
    if len(utterances) != count:
        raise InputError(
            f"{manifest}: {len(utterances)} utterances where counts.json says {count}; prepare the dataset again"
        )
    return utterances


def _usable(job: Job, utterances: Table, recognizer: Recognizer, output: TextIOBase) -> Table:
    """Return the utterances that have at least one CTC path and are not too long; name the others in the log."""
    limit = job.params.data.longest_seconds or math.inf
    # Without this, CTC's loss of such an utterance is infinite; zero_infinity would hide it as a loss of 0.
    frames = recognizer.output_lengths(torch.from_numpy(utterances.samples)).numpy()
    short = frames < utterances.ctc_frames
    long = utterances.seconds > limit if limit < math.inf else np.zeros_like(short)
    left_out = {"too short for their transcripts": short, f"longer than {limit:g} s": long}
    for reason, gone in left_out.items():
        if gone.any():
            names = [each.id for each in utterances.keep(gone)]
            print(f"left out, {reason}: {len(names)} utterances: {' '.join(names)}", file=output)
    if (short | long).all():
        raise InputError(
            "every training utterance is too short for its transcript or longer than data.longest_seconds;"
            " check the manifest's texts"
        )
    return utterances.keep(~(short | long)) if (short | long).any() else utterances
