"""The score of runs from their result files alone, whoever made them.

The score of a folder is the olympic mean of its runs' minutes between run_start and run_stop, times the factor of the
convergence check, which is above 1 if the runs took fewer epochs than the reference. A run that is not compliant or
missed its target counts as the slowest. mlperf_logging.result_summarizer computes the same, for the benchmarks in its
own tables only.
"""

import math
import numbers
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from speech_recognition.errors import InputError
from speech_recognition.mlperf.check import Violation, check_as_logged
from speech_recognition.mlperf.convergence import Verdict, check_runs, reference_points
from speech_recognition.mlperf.log_table import log_table, stop_seconds
from speech_recognition.mlperf.series import olympic_mean
from speech_recognition.runs.series_folder import SeriesFolder

_FEWEST = 3
"""Smallest number of runs with an olympic mean, and for which convergence can be checked."""


@dataclass(frozen=True, kw_only=True)
class RunScore:
    """A run in figures, each as its log states it; None where the log lacks it or states something else."""

    path: Path
    """The log."""
    benchmark: str | None
    division: str | None
    seed: float | None
    minutes: float | None
    """Time from run_start to run_stop."""
    epochs: float | None
    """Epoch of the last evaluation."""
    samples: float | None
    """Training utterances up to the last evaluation."""
    batch_size: float | None
    """Number of utterances in a batch of all devices."""
    wer: float | None
    """WER of the last evaluation in percent."""
    reached: bool
    """True if the run ended with success."""
    violations: tuple[Violation, ...]
    """Rules of its own division that the log breaks."""

    @property
    def counts(self) -> bool:
        """True if the run reached its target by the rules; any other counts as the slowest of its series."""
        return self.reached and not self.violations and self.minutes is not None


@dataclass(frozen=True, kw_only=True)
class FolderScore:
    """The score of the runs in a folder."""

    folder: Path
    benchmark: str | None
    division: str | None
    runs: tuple[RunScore, ...]
    olympic: float | None
    """Mean minutes without the fastest and the slowest run; None with fewer than three runs, or if two do not count."""
    spread: float | None
    """Standard deviation of the minutes of the runs that count; None if there are fewer than two."""
    convergence: Verdict | None
    """Comparison with the reference convergence points; None if it was not made."""
    unchecked: str
    """Reason why it was not made; empty if it was."""

    @property
    def factor(self) -> float:
        """Factor to multiply the minutes by: 1, or more if the runs converged faster than the reference."""
        return self.convergence.normalization if self.convergence and self.convergence.passed else 1.0

    @property
    def minutes(self) -> float | None:
        """The score: the olympic mean times the factor."""
        return None if self.olympic is None else self.olympic * self.factor

    @property
    def fine(self) -> bool:
        """True if every run counts and convergence was not refused."""
        return all(run.counts for run in self.runs) and (self.convergence is None or self.convergence.passed)


def find_scores(folder: Path) -> list[FolderScore]:
    """Return the score of the runs in `folder`, or that of each folder below it which has result files.

    Raises InputError if there are none, or if a log cannot be read.
    """
    logs = SeriesFolder(folder).all_logs()
    if logs:
        return [score(folder, logs)]
    below = sorted({path.parent for path in folder.rglob("result_*.txt")})
    if not below:
        raise InputError(f"{folder}: no result_*.txt, run_*/speech_ds2.out or *.out in it; give a folder of results")
    return [score(each, SeriesFolder(each).all_logs()) for each in below]


def score(folder: Path, logs: Sequence[Path]) -> FolderScore:
    """Return the score of the runs with these logs, which lie in `folder`.

    Raises InputError if a log cannot be read, or if the logs are of different benchmarks or divisions.
    """
    runs = tuple(map(run_score, logs))
    benchmark, division = _common(runs, "benchmark"), _common(runs, "division")
    good = [run.minutes for run in runs if run.counts and run.minutes is not None]
    convergence, unchecked = _convergence(runs, benchmark, division)
    return FolderScore(
        folder=folder,
        benchmark=benchmark,
        division=division,
        runs=runs,
        olympic=olympic_mean(good, failed=len(runs) - len(good)),
        spread=statistics.stdev(good) if len(good) > 1 else None,
        convergence=convergence,
        unchecked=unchecked,
    )


def run_score(path: Path) -> RunScore:
    """Return the figures of the run with the log at `path`. Raises InputError if the log cannot be read."""
    table = log_table(path)
    first, last = (table.drop_duplicates("key", keep=keep).set_index("key") for keep in ("first", "last"))
    return RunScore(
        path=path,
        benchmark=_text(_cell(first, "submission_benchmark")),
        division=_text(_cell(first, "submission_division")),
        seed=_number(_cell(first, "seed")),
        minutes=_number(stop_seconds(table) / 60),
        epochs=_number(_cell(last, "eval_accuracy", "epoch_num")),
        samples=_number(_cell(last, "eval_accuracy", "samples_count")),
        batch_size=_number(_cell(first, "global_batch_size")),
        wer=_number(_cell(last, "eval_accuracy")),
        reached=_cell(last, "run_stop", "status") == "success",
        violations=tuple(check_as_logged(path)),
    )


def _common(runs: Sequence[RunScore], name: str) -> str | None:
    """Return the benchmark or division that the runs have in common; None if no log names one.

    Raises InputError if they differ. A run that was killed early may lack it.
    """
    known = [(run, getattr(run, name)) for run in runs if getattr(run, name) is not None]
    for run, value in known:
        if value != known[0][1]:
            raise InputError(
                f"{run.path}: submission_{name} is {value}, but {known[0][1]} in {known[0][0].path}; score them apart"
            )
    return known[0][1] if known else None


def _convergence(runs: Sequence[RunScore], benchmark: str | None, division: str | None) -> tuple[Verdict | None, str]:
    """Return the verdict on the convergence of runs, or None and the reason why there is none."""
    if division != "closed":
        return None, "MLPerf compares runs of the closed division only"
    if None in {run.benchmark for run in runs}:
        return None, "a log names no benchmark"
    points = reference_points(str(benchmark))
    if points is None:
        return None, f"{benchmark} has no reference convergence points"
    if len(runs) < _FEWEST:
        return None, f"it needs {_FEWEST} runs"
    return check_runs([run.path for run in runs], points), ""


def _cell(table: pd.DataFrame, key: str, column: str = "value") -> Any:
    """Return a cell of a table that has a row for each key; None if there is no such row or column."""
    return table.loc[key, column] if key in table.index and column in table.columns else None


def _number(value: Any) -> float | None:
    """Return `value` if it is a finite number, a whole one as an int; else None."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    if isinstance(value, int):
        return value
    number = float(value)
    return (int(number) if number.is_integer() else number) if math.isfinite(number) else None


def _text(value: Any) -> str | None:
    """Return `value` if it is a string; else None."""
    return value if isinstance(value, str) else None
