"""The folder of a run: the log, the parameters, the system, a table of its epochs."""

import io
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from params import Params
from speech_recognition import settings
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write, held
from speech_recognition.mlperf.system import SYSTEM_NAME, Description
from speech_recognition.runs.csv_tables import write_table
from speech_recognition.runtime import distributed
from speech_recognition.runtime.distributed import ALONE, Launch

LOG_NAME = "speech_ds2.out"
UTTERANCES_NAME = "utterances.csv"
"""What the best epoch made of each utterance of val."""
_RUN_ID = "torchrun_id"
_LOG = re.compile(r"speech_ds2(?:_resumed_([1-9]\d{0,8}))?\.out", re.ASCII)


class Output(io.TextIOBase):
    """Standard output and the run's log file: the same bytes to both, line by line."""

    def __init__(self, console: TextIO, log: Path, go_on: bool = False) -> None:
        """Open a new log, or `go_on` in the one that is there.

        Then a line that it has already is not written again: a run that is repeated
        from its last checkpoint on gives the same lines, but for their times.
        """
        self.path = log
        self._console, self._line = console, ""
        self._there = _repair(log) if go_on else set()
        # A file's name may be any bytes, as on standard output.
        self._file = log.open("a" if go_on else "x", encoding="utf-8", errors="backslashreplace", buffering=1)

    def write(self, text: str) -> int:
        """Write whole lines to both, the file first: it is whole even where standard output's reader is gone."""
        *lines, self._line = (self._line + text).split("\n")
        new = "".join(f"{line}\n" for line in lines if _timeless(line) not in self._there)
        if new:
            self._file.write(new)
            self._console.write(new)
            self._console.flush()
        return len(text)

    def close(self) -> None:
        """Close the file; standard output stays open."""
        self._file.close()
        super().close()


def _repair(log: Path) -> set[str]:
    """Cut off an unfinished last line; the others, without their times."""
    whole = log.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    if kept != whole:
        log.write_bytes(kept)
    return {_timeless(line) for line in kept.decode(errors="replace").splitlines()}


def _timeless(line: str) -> str:
    return re.sub(r'"time_ms": \d+|(?<=TIMING RUN AT ).*', "", line)


class Silence(io.TextIOBase):
    """The output of every process but the first."""

    def write(self, text: str) -> int:
        """Write nothing."""
        return len(text)


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
    """steps without a finite loss and gradient"""
    learning_rate: float | None = None
    seconds: float | None = None
    """of training"""
    waiting_seconds: float | None = None
    saving_seconds: float | None = None
    """of checkpoints within the epoch"""
    audio_rate: float | None = None
    eval_seconds: float

    def row(self) -> dict[str, object]:
        """The columns, each subset's WER in one of its own."""
        columns = {name: value for name, value in vars(self).items() if name != "subset_wer"}
        return columns | {f"wer_{name}": wer for name, wer in self.subset_wer.items()}

    def timing(self) -> str:
        """Where the time went, for standard error: it differs between equal runs, and the log's plain lines do not."""
        if self.seconds is None or self.waiting_seconds is None or self.audio_rate is None:
            return f"evaluation {self.eval_seconds:.1f} s"
        waiting = 100 * self.waiting_seconds / self.seconds
        return (
            f"training {self.seconds:.1f} s ({self.audio_rate:.0f} audio seconds per second,"
            f" {waiting:.1f}% waiting for data), evaluation {self.eval_seconds:.1f} s"
        )

    def line(self) -> str:
        """The plain line of the log."""
        parts = [f"epoch {self.epoch}:"]
        if self.loss is not None:
            parts += [f"loss {self.loss:.4f},"]
        if self.skipped_steps:
            parts += [f"{self.skipped_steps} steps skipped (loss or gradient not finite),"]
        parts += [f"WER {self.wer:.2f}, CER {self.cer:.2f}, utterance-mean WER {self.utterance_wer:.2f}"]
        parts += [f"({', '.join(f'{name} {wer:.2f}' for name, wer in self.subset_wer.items())})"]
        return " ".join(parts)


@contextmanager
def open_folder(
    folder: Path, params: Params, system: Description, launch: Launch = ALONE
) -> Iterator[Output | Silence]:
    """Make the folder of a run with `params.json` and `system.json` in it; give the log, written by the first process.

    A run that goes on in its folder gets a log of its own, speech_ds2_resumed_1.out and so
    on; one whose processes torchrun has started again goes on in the newest that is there.
    Files that a killed run had not finished are removed. Raises InputError if another run writes there, or if
    something in the folder leads out of it.
    """
    if not distributed.is_first():
        yield Silence()
        return
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder, f"--output-dir {folder}: another run is writing there; wait for it, or choose another"):
        _check_entries(folder)
        for remains in folder.rglob(".*.partial"):
            remains.unlink(missing_ok=True)
        output = _fill(folder, params, system, launch)
        try:
            yield output
        finally:
            output.close()
            print(f"results: {folder}", file=sys.stderr)


def _check_entries(folder: Path) -> None:
    """Raise InputError on a link that leads out of a run's folder, and on what is no file.

    In a folder of somebody else's, a run would write or delete what such links point to.
    """
    inside = os.path.realpath(folder)
    for path in folder.rglob("*"):
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(inside) or not (target.is_file() or target.is_dir()):
            raise InputError(
                f"{path}: leads out of the run's folder, or is no file; remove it, or choose another --output-dir"
            )


def _fill(folder: Path, params: Params, system: Description, launch: Launch) -> Output:
    with atomic_write(folder / settings.PARAMS_NAME) as partial:
        partial.write_text(json.dumps(settings.to_dict(params), indent=2) + "\n", encoding="utf-8")
    with atomic_write(folder / SYSTEM_NAME) as partial:
        partial.write_text(json.dumps(system, indent=2) + "\n", encoding="utf-8")
    if launch.run_id:
        with atomic_write(folder / _RUN_ID) as partial:
            partial.write_text(launch.run_id + "\n", encoding="utf-8")
    numbers = _log_numbers(folder)
    go_on = launch.restarted and bool(numbers)
    return Output(sys.stdout, _log(folder, max(numbers, default=-1) + (not go_on)), go_on)


def torchrun_id(folder: Path) -> str | None:
    """The name that torchrun has given to the run in this folder; None without torchrun."""
    path = folder / _RUN_ID
    return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else None


def newest_log(folder: Path) -> Path | None:
    """Return the log of the last run or continuation in `folder`; None if there is none."""
    numbers = _log_numbers(folder)
    return _log(folder, max(numbers)) if numbers else None


def _log_numbers(folder: Path) -> list[int]:
    """Return the numbers of the logs in `folder`, 0 for the first; there are gaps where one was deleted."""
    matches = (_LOG.fullmatch(path.name) for path in folder.glob("speech_ds2*.out"))
    return [int(match[1] or 0) for match in matches if match]


def _log(folder: Path, number: int) -> Path:
    return folder / (f"speech_ds2_resumed_{number}.out" if number else LOG_NAME)


def write_metrics(folder: Path, epochs: Sequence[EpochMetrics]) -> None:
    """Write `metrics.csv`: a row for each evaluation, empty where an untrained model has no figure."""
    write_table(folder / "metrics.csv", [epoch.row() for epoch in epochs])
