"""The table of a run's epochs, `metrics.csv`: a row for each evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from speech_recognition.errors import InputError
from speech_recognition.runs.csv_tables import LAST_EPOCH, checked, read_table, write_table

TABLE_HEAD = f"{'epoch':>5}{'loss':>10}{'WER':>9}{'CER':>9}{'audio s/s':>10}{'time':>10}"
"""Head of the table of epochs on a terminal; `audio s/s` is seconds of audio trained on per second of time."""

_SUBSET = "wer_"
"""Start of a column's name that ends in a subset, such as wer_dev-clean."""


@dataclass(frozen=True, kw_only=True)
class EpochMetrics:
    """Figures of an evaluation and of the epoch of training before it: a row of metrics.csv.

    Error rates are in percent. Epoch 0 is the untrained model, whose figures of training are None.
    """

    epoch: int
    wer: float
    cer: float
    utterance_wer: float
    """Mean of the utterances' own word error rates."""
    subset_wer: dict[str, float] = field(default_factory=dict)
    """WER of each subset of val, such as dev-clean; each has a column of its own in the table."""
    loss: float | None = None
    """Mean CTC loss per utterance, in nats; NaN if every step was skipped."""
    skipped_steps: int | None = None
    """Number of steps whose loss or gradient was not finite; they changed nothing."""
    learning_rate: float | None = None
    """Learning rate of the last step."""
    seconds: float | None = None
    """Time of training, with waiting and saving."""
    waiting_seconds: float | None = None
    """Part of `seconds` spent waiting for the next batch."""
    saving_seconds: float | None = None
    """Part of `seconds` in which checkpoints were written."""
    audio_rate: float | None = None
    """Seconds of audio trained on per second of training."""
    eval_seconds: float
    """Time of the evaluation."""

    def row(self) -> dict[str, object]:
        """Return the cells of the table's row by the names of their columns."""
        cells = {name: value for name, value in vars(self).items() if name != "subset_wer"}
        return cells | {f"{_SUBSET}{name}": wer for name, wer in self.subset_wer.items()}

    def timing(self) -> str:
        """Return a phrase on where the time went, for standard error: the log's plain lines hold no times.

        Runs with equal parameters and seeds have the same plain lines.
        """
        if self.seconds is None or self.waiting_seconds is None or self.audio_rate is None:
            return f"evaluation {self.eval_seconds:.1f} s"
        waiting = 100 * self.waiting_seconds / self.seconds
        return (
            f"training {self.seconds:.1f} s ({self.audio_rate:.0f} audio seconds per second,"
            f" {waiting:.1f}% waiting for data), evaluation {self.eval_seconds:.1f} s"
        )

    def table_row(self) -> str:
        """Return the epoch's row in the table that grows on a terminal under TABLE_HEAD."""
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


def best_of(epochs: Sequence[EpochMetrics]) -> EpochMetrics:
    """Return the latest of the rows with the lowest WER; the untrained model only if there is no other."""
    trained = [each for each in epochs if each.epoch > 0] or epochs
    return min(reversed(trained), key=lambda each: each.wer)


_REQUIRED = ("epoch", "wer", "cer")
_OPTIONAL = {each.name for each in fields(EpochMetrics)} - {"subset_wer", *_REQUIRED}


def write_metrics(path: Path, epochs: Sequence[EpochMetrics]) -> None:
    """Write a row for each evaluation; cells are empty where the untrained model has no figure."""
    write_table(path, [epoch.row() for epoch in epochs])


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Return the rows, one for each evaluation; an empty list if there is no file. Unknown columns are left out.

    Raises InputError if epoch, wer or cer is missing, or if a value is not a number from 0. Other columns may be
    absent, as in tables of older versions, and have empty cells, which become NaN.
    """
    if not path.exists():
        return []
    rows = read_table(path)
    optional = [name for name in (rows[0] if rows else ()) if name in _OPTIONAL or name.startswith(_SUBSET)]
    numbers = checked(path, rows, numbers=_REQUIRED, optional=optional)
    if any(row["epoch"] % 1 != 0 or row["epoch"] > LAST_EPOCH for row in numbers):
        raise InputError(f"{path}: an epoch is not a whole number from 0 to {LAST_EPOCH}; remove the file")
    return [row | {"epoch": int(row["epoch"])} for row in numbers]
