"""What an epoch of training has given and taken so far: sums that a checkpoint keeps."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from params import SAMPLE_RATE


@dataclass
class Tally:
    """The sums over an epoch's steps; times are in seconds."""

    epoch: int = 1
    steps: int = 0
    skipped: int = 0
    """of `steps`, those without a finite loss and gradient, which changed nothing"""
    skipped_in_a_row: int = 0
    """of these, the last ones, without a good step between"""
    utterances: int = 0
    """of the steps that counted"""
    loss: float = 0.0
    """sum of the utterances' CTC losses, in nats"""
    audio: float = 0.0
    """seconds of audio"""
    seconds: float = 0.0
    waiting: float = 0.0
    """of `seconds`, those spent waiting for the next batch"""
    saving: float = 0.0
    """of `seconds`, those in which a checkpoint was written"""
    learning_rate: float = 0.0
    """of the last step"""

    def add(self, samples: Sequence[int], loss: float, learning_rate: float, *, updated: bool) -> None:
        """Count a step on utterances of `samples` each; `updated` is false if its loss or gradient was not finite."""
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
        """Per utterance of the steps that counted, in nats."""
        return self.loss / self.utterances if self.utterances else math.nan

    def metrics(self) -> dict[str, Any]:
        """Its columns of metrics.csv."""
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
        return f"loss {self.mean_loss:.3f}, {self.audio / self.seconds:.0f} audio s/s"
