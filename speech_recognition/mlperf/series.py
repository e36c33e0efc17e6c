"""Several runs of the benchmark, one after another, and their score.

MLPerf's training rules: a result is the mean time of N runs of different seeds without the
fastest and the slowest; a run that misses the target counts as the slowest, two of them leave no result.
"""

import csv
import json
import math
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from speech_recognition.errors import ExitStatus, InputError
from speech_recognition.files import atomic_write
from speech_recognition.mlperf.log_table import run_seconds
from speech_recognition.runs.folder import RunFolder


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """One run; `seconds` from run_start to run_stop, not a number if the log does not tell."""

    run: int
    seed: int
    status: int
    """exit status of `train --timed`"""
    seconds: float = math.nan
    epochs: int = 0
    wer: float = math.nan
    """of the last evaluation, in percent"""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Of several runs, in seconds."""

    olympic: float | None
    """mean without the fastest and the slowest; None where the rules give no score"""
    mean: float | None
    """of the runs that reached the target"""
    spread: float | None
    """their standard deviation"""


def run_several(arguments: Sequence[str], seeds: Sequence[int], folder: Path) -> list[RunResult]:
    """Run the command `train` with each of the seeds, in processes of their own, into `folder`.

    Each run's standard output is `result_<run>.txt`; a run that fails does not end the series, bad input does.
    A signal ends the run at hand and the series, with SystemExit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for number, seed in enumerate(seeds):
        own = ["--runs", "1", "--seed", str(seed), "--output-dir", str(folder / f"run_{number}")]
        log = folder / f"result_{number}.txt"
        status = _run([*_PROGRAM, *arguments, *own], log)
        results.append(_result(number, seed, status, log, RunFolder(folder / f"run_{number}").metrics))
        print(f"run {number}: {_line(results[-1])}", file=sys.stderr, flush=True)
        write_summary(folder, results)
        if status == ExitStatus.BAD_INPUT:  # every other run would be refused too
            break
    return results


_PROGRAM = (sys.executable, "-m", "speech_recognition")


def _run(command: Sequence[str], log: Path) -> int:
    with log.open("wb") as output, subprocess.Popen(command, stdout=output) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise


def _result(number: int, seed: int, status: int, log: Path, metrics: Path) -> RunResult:
    seconds, rows = math.nan, []
    with suppress(InputError):  # it failed before its log began
        seconds = run_seconds(log)
    if metrics.is_file():
        with metrics.open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["epoch"] != "0"]
    wer = float(rows[-1]["wer"]) if rows else math.nan
    return RunResult(run=number, seed=seed, status=status, seconds=seconds, epochs=len(rows), wer=wer)


def score(results: Sequence[RunResult]) -> Score:
    """The score of all runs."""
    good = [result.seconds for result in results if result.status == ExitStatus.DONE]
    failed = len(results) - len(good)
    kept = sorted(good)[1 : len(good) if failed else -1]  # a failed run is the slowest
    return Score(
        olympic=statistics.mean(kept) if len(results) >= 3 and failed <= 1 and kept else None,
        mean=statistics.mean(good) if good else None,
        spread=statistics.stdev(good) if len(good) > 1 else None,
    )


def write_summary(folder: Path, results: Sequence[RunResult]) -> None:
    """Write `summary.json`: every run and the score."""
    content = {"runs": [asdict(result) for result in results], "score_seconds": asdict(score(results))}
    with atomic_write(folder / "summary.json") as partial:
        partial.write_text(json.dumps(content, indent=2).replace("NaN", "null") + "\n", encoding="utf-8")


def summary(results: Sequence[RunResult]) -> str:
    """A Markdown table of the runs, and a line with the score."""
    lines = ["| run | seed | epochs | seconds | WER | status |", "|---|---|---|---|---|---|"]
    for each in results:
        lines.append(
            f"| {each.run} | {each.seed} | {each.epochs} | {each.seconds:.0f} | {each.wer:.2f} | {each.status} |"
        )
    found = score(results)
    if found.mean is not None:
        spread = f", standard deviation {found.spread:.1f} s" if found.spread is not None else ""
        lines.append(f"mean of those that reached the target: {found.mean:.1f} s{spread}")
    if found.olympic is not None:
        lines.append(f"olympic score (without the fastest and the slowest): {found.olympic:.1f} s")
    else:
        lines.append("olympic score: none; it takes three runs, all but one of which reach the target")
    return "\n".join(lines)


def exit_status(results: Sequence[RunResult]) -> ExitStatus:
    """Return the series' exit status: that of its worst run. A run that a signal stopped counts as a failure."""
    statuses = {result.status for result in results}
    if ExitStatus.BAD_INPUT in statuses:
        return ExitStatus.BAD_INPUT
    if statuses - {ExitStatus.DONE, ExitStatus.TARGET_MISSED}:
        return ExitStatus.FAILURE
    return ExitStatus.TARGET_MISSED if ExitStatus.TARGET_MISSED in statuses else ExitStatus.DONE


def _line(result: RunResult) -> str:
    return f"seed {result.seed}, {result.seconds:.0f} s, epochs: {result.epochs}, exit status {result.status}"
