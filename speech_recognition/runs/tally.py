"""The sums of an epoch of training so far: checkpoints keep them, and steps.csv has a column for each."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from speech_recognition.parameters import SAMPLE_RATE


@dataclass
class Tally:
    """Sums over an epoch's steps; times are in seconds."""

    epoch: int = 1
    steps: int = 0
    skipped: int = 0
    """Steps whose loss or gradient was not finite; they changed nothing."""
    skipped_in_a_row: int = 0
    """Skipped steps since the last good one."""
    utterances: int = 0
    """Utterances trained on, without those of skipped steps."""
    loss: float = 0.0
    """Sum of the CTC losses of these utterances, in nats."""
    audio: float = 0.0
    """Seconds of audio trained on, with those of skipped steps."""
    seconds: float = 0.0
    """Time of training, with waiting and saving."""
    waiting: float = 0.0
    """Part of `seconds` spent waiting for the next batch."""
    saving: float = 0.0
    """Part of `seconds` in which training stood still for a checkpoint."""
    learning_rate: float = 0.0
    """Learning rate of the last step."""

    def add(self, samples: Sequence[int], loss: float, learning_rate: float, *, updated: bool) -> None:
        """Count a step on utterances that have these numbers of `samples`, with its mean `loss` per utterance.

        `updated` is False if the step was skipped because its loss or gradient was not finite.
        """
        self.steps += 1
        self.audio += sum(samples) / SAMPLE_RATE
        self.learning_rate = learning_rate
        if updated:
            self.utterances += len(samples)
            self.loss += loss * len(samples)
            self.skipped_in_a_row = 0
        else:
            self.skipped += 1
            self.skipped_in_a_row += 1

    @property
    def mean_loss(self) -> float:
        """Loss per utterance, in nats; NaN if every step was skipped."""
        return self.loss / self.utterances if self.utterances else math.nan

    def metrics(self) -> dict[str, Any]:
        """Return the figures of training for the epoch's `EpochMetrics`."""
        return {
            "loss": self.mean_loss,
            "skipped_steps": self.skipped,
            "learning_rate": self.learning_rate,
            "seconds": self.seconds,
            "waiting_seconds": self.waiting,
            "saving_seconds": self.saving,
            "audio_rate": self.audio / self.seconds,
        }

    def __str__(self) -> str:
        """Return the figures that stand beside the progress bar."""
        return f"loss {self.mean_loss:.3f}, {self.audio / self.seconds:.0f} audio s/s"
