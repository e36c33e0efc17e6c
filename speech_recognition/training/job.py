"""The job: all that a run needs to start, checked before anything is written."""

from dataclasses import dataclass
from pathlib import Path

import torch

from speech_recognition.corpus.stamp import Verified
from speech_recognition.parameters import Params
from speech_recognition.runs.checkpoint import TrainingState
from speech_recognition.runtime.distributed import ALONE, Launch


@dataclass(frozen=True, kw_only=True)
class Job:
    """The parameters, data and folders of a run, all checked by `prepare`."""

    params: Params
    """Parameters, with the division that `division.decide` found."""
    seed: int
    """Seed of weights, orders and augmentation."""
    device: torch.device
    """Device that this process computes on."""
    data_dir: Path
    """Folder of the dataset, or of the training manifest if that is the user's own."""
    train_manifest: Path
    """Manifest of the training set."""
    val_manifest: Path
    """Manifest of the validation set."""
    train_utterances: int
    """Number of utterances in the training manifest, from counts.json; the run may leave some of them out."""
    val_utterances: int
    """Number of utterances in the validation manifest, from counts.json."""
    longest_train_seconds: float
    """Length of the training manifest's longest utterance, on which the warm-up trains."""
    longest_val_seconds: float
    """Length of the validation manifest's longest utterance, on which the warm-up evaluates."""
    output_dir: Path
    """Folder of the run."""
    state: TrainingState | None = None
    """State of the checkpoint to go on from; None for a run from the start."""
    verified: Verified | None = None
    """Dataset of a closed run, whose checksum the log states; None in the open division."""
    launch: Launch = ALONE
    """Facts that torchrun told this process."""
