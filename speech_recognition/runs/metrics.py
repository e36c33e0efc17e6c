"""The table of a run's epochs, `metrics.csv`: a row for each evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from speech_recognition.runs.csv_tables import write_table

TABLE_HEAD = f"{'epoch':>5}{'loss':>10}{'WER':>9}{'CER':>9}{'audio s/s':>10}{'time':>10}"
"""Head of the table of epochs on a terminal; `audio s/s`: seconds of audio trained on in a second."""


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """A row of metrics.csv. Epoch 0 is the untrained model; rates are in percent, times in seconds."""

    epoch: int
    wer: float
    cer: float
    utterance_wer: float
    subset_wer: dict[str, float] = field(default_factory=dict)
    loss: float | None = None
    skipped_steps: int | None = None
    """Steps whose loss or gradient was not finite."""
    learning_rate: float | None = None
    seconds: float | None = None
    """Time of training."""
    waiting_seconds: float | None = None
    saving_seconds: float | None = None
    """Time of checkpoints within the epoch."""
    audio_rate: float | None = None
    eval_seconds: float

    def row(self) -> dict[str, object]:
        """Return the columns of the table; each subset's WER has its own."""
        columns = {name: value for name, value in vars(self).items() if name != "subset_wer"}
        return columns | {f"wer_{name}": wer for name, wer in self.subset_wer.items()}

    def timing(self) -> str:
        """Return where the time went. For standard error: times differ between equal runs, plain log lines do not."""
        if self.seconds is None or self.waiting_seconds is None or self.audio_rate is None:
            return f"evaluation {self.eval_seconds:.1f} s"
        waiting = 100 * self.waiting_seconds / self.seconds
        return (
            f"training {self.seconds:.1f} s ({self.audio_rate:.0f} audio seconds per second,"
            f" {waiting:.1f}% waiting for data), evaluation {self.eval_seconds:.1f} s"
        )

    def table_row(self) -> str:
        """Return the epoch's row of the table that grows on a terminal, under TABLE_HEAD."""
        loss = "" if self.loss is None else f"{self.loss:.2f}"
        rate = "" if self.audio_rate is None else f"{self.audio_rate:.0f}"
        seconds = (self.seconds or 0.0) + self.eval_seconds
        return f"{self.epoch:>5}{loss:>10}{self.wer:>9.2f}{self.cer:>9.2f}{rate:>10}{seconds:>8.0f} s"

    def line(self) -> str:
        """Return the epoch's plain line of the log."""
        parts = [f"epoch {self.epoch}:"]
        if self.loss is not None:
            parts += [f"loss {self.loss:.4f},"]
        if self.skipped_steps:
            parts += [f"{self.skipped_steps} steps skipped (loss or gradient not finite),"]
        parts += [f"WER {self.wer:.2f}, CER {self.cer:.2f}, utterance-mean WER {self.utterance_wer:.2f}"]
        parts += [f"({', '.join(f'{name} {wer:.2f}' for name, wer in self.subset_wer.items())})"]
        return " ".join(parts)


def write_metrics(path: Path, epochs: Sequence[EpochMetrics]) -> None:
    """Write a row for each evaluation; cells are empty where an untrained model has no figure."""
    write_table(path, [epoch.row() for epoch in epochs])
