"""Several runs of the benchmark in succession, and their score.

The score is the mean time of N runs with different seeds, without the fastest and the slowest. A run that misses the
target counts as the slowest; if two miss it, there is no score. The rule is in the section "Benchmark Results" of
the MLPerf Training Rules (mlcommons/training_policies, training_rules.adoc).
"""

import json
import math
import statistics
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from speech_recognition.errors import ExitStatus, InputError
from speech_recognition.files import atomic_write
from speech_recognition.mlperf.log_table import run_seconds
from speech_recognition.runs.metrics import read_metrics
from speech_recognition.runs.series_folder import SeriesFolder


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """Result of one run."""

    run: int
    """Number of the run in its series, from 0."""
    seed: int
    status: int
    """Exit status of `train --timed`; 0 if the target was reached and the log is compliant."""
    seconds: float = math.nan
    """Time from run_start to run_stop, or NaN if the log lacks one of them."""
    epochs: int = 0
    wer: float = math.nan
    """WER of the last evaluation in percent, or NaN before the first."""


@dataclass(frozen=True, kw_only=True)
class SeriesScore:
    """Score of several runs, in seconds."""

    olympic: float | None
    """Mean without the fastest and the slowest run; None with fewer than three runs, or if two or more failed."""
    mean: float | None
    """Mean of the runs that reached the target; None if none did."""
    spread: float | None
    """Standard deviation of the runs that reached the target; None if fewer than two did."""


def run_result(folder: SeriesFolder, number: int, seed: int, status: int) -> RunResult:
    """Return the result of a run that ended with an exit status, from its log and its table of epochs.

    Raises InputError if the table cannot be read.
    """
    seconds = math.nan
    with suppress(InputError):  # a run that failed before its log began has no time
        seconds = run_seconds(folder.result(number))
    rows = [row for row in read_metrics(folder.run(number).metrics) if row["epoch"] > 0]
    wer = rows[-1]["wer"] if rows else math.nan
    return RunResult(run=number, seed=seed, status=status, seconds=seconds, epochs=len(rows), wer=wer)


def series_score(results: Sequence[RunResult]) -> SeriesScore:
    """Return the score of a series of runs, by the rule at the top of this module."""
    good = [result.seconds for result in results if result.status == ExitStatus.DONE]
    return SeriesScore(
        olympic=olympic_mean(good, failed=len(results) - len(good)),
        mean=statistics.mean(good) if good else None,
        spread=statistics.stdev(good) if len(good) > 1 else None,
    )


def olympic_mean(times: Sequence[float], failed: int) -> float | None:
    """Return the mean without the fastest and the slowest of the runs that took `times` and of `failed` others.

    A failed run counts as the slowest. Returns None with fewer than three runs, or if two or more failed.
    """
    kept = sorted(times)[1 : len(times) if failed else -1]
    return statistics.mean(kept) if failed <= 1 and kept else None


def write_summary(folder: SeriesFolder, results: Sequence[RunResult]) -> None:
    """Write every run and the score to the summary in `folder`."""
    content = {"runs": [asdict(result) for result in results], "score_seconds": asdict(series_score(results))}
    with atomic_write(folder.summary) as partial:
        partial.write_text(json.dumps(content, indent=2).replace("NaN", "null") + "\n", encoding="utf-8")


def series_table(results: Sequence[RunResult]) -> str:
    """Return a Markdown table of the runs, followed by the lines of the mean and the score."""
    lines = ["| run | seed | epochs | seconds | WER | status |", "|---|---|---|---|---|---|"]
    for each in results:
        lines.append(
            f"| {each.run} | {each.seed} | {each.epochs} | {each.seconds:.0f} | {each.wer:.2f} | {each.status} |"
        )
    found = series_score(results)
    if found.mean is not None:
        spread = f", standard deviation {found.spread:.1f} s" if found.spread is not None else ""
        lines.append(f"mean of the runs that reached the target: {found.mean:.1f} s{spread}")
    if found.olympic is not None:
        lines.append(f"olympic score (without the fastest and the slowest): {found.olympic:.1f} s")
    else:
        lines.append("olympic score: none; it needs three runs, of which at most one misses the target")
    return "\n".join(lines)


def exit_status(results: Sequence[RunResult]) -> ExitStatus:
    """Return BAD_INPUT, FAILURE, TARGET_MISSED or DONE: the first of these that any run ended with.

    Every other status, such as that of a run that a signal stopped, counts as FAILURE.
    """
    statuses = {result.status for result in results}
    if ExitStatus.BAD_INPUT in statuses:
        return ExitStatus.BAD_INPUT
    if statuses - {ExitStatus.DONE, ExitStatus.TARGET_MISSED}:
        return ExitStatus.FAILURE
    return ExitStatus.TARGET_MISSED if ExitStatus.TARGET_MISSED in statuses else ExitStatus.DONE
