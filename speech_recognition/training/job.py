"""A run that is ready to start."""

from dataclasses import dataclass
from pathlib import Path

import torch

from params import Params
from speech_recognition.corpus.stamp import Verified
from speech_recognition.runs.checkpoint import TrainingState
from speech_recognition.runtime.distributed import ALONE, Launch


@dataclass(frozen=True, kw_only=True)
class Job:
    """The parameters, data and folders of a run, all checked by `prepare`."""

    params: Params
    seed: int
    device: torch.device
    data_dir: Path
    """Folder of the dataset, or of the training manifest if that is the user's own."""
    train_manifest: Path
    val_manifest: Path
    train_samples: int
    """Utterances in the training manifest, known before any of it is read."""
    val_samples: int
    longest_seconds: float
    """The longest utterance of both manifests, which is the warm-up's length."""
    output_dir: Path
    state: TrainingState | None = None
    """State to go on from; None for a run from the start."""
    verified: Verified | None = None
    """Dataset of a closed run, whose checksum the log states; None in the open division."""
    launch: Launch = ALONE
    """What torchrun told this process."""
