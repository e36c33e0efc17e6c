"""What an epoch of training has given and taken so far: sums that a checkpoint keeps."""

from collections.abc import Sequence
from dataclasses import dataclass

from params import SAMPLE_RATE
from speech_recognition.batches import Batch


@dataclass
class Tally:
    """The sums over an epoch's steps; times are in seconds."""

    epoch: int = 1
    steps: int = 0
    utterances: int = 0
    loss: float = 0.0
    """sum of the utterances' CTC losses, in nats"""
    audio: float = 0.0
    """seconds of audio"""
    seconds: float = 0.0
    waiting: float = 0.0
    """of `seconds`, those in which the step stood idle because the next batch was not there"""
    learning_rate: float = 0.0
    """of the last step"""

    def add(self, parts: Sequence[Batch], loss: float, learning_rate: float) -> None:
        """Count a step: its batch and the mean loss over it."""
        count = sum(len(part.lengths) for part in parts)
        self.steps += 1
        self.utterances += count
        self.loss += loss * count
        self.audio += sum(int(part.lengths.sum()) for part in parts) / SAMPLE_RATE
        self.learning_rate = learning_rate

    def metrics(self) -> dict[str, float]:
        """Its columns of metrics.csv."""
        return {
            "loss": self.loss / self.utterances,
            "learning_rate": self.learning_rate,
            "seconds": self.seconds,
            "waiting_seconds": self.waiting,
            "audio_rate": self.audio / self.seconds,
        }

    def __str__(self) -> str:
        return f"loss {self.loss / self.utterances:.3f}, {self.audio / self.seconds:.0f} audio s/s"
