"""Reference convergence points: the number of epochs that runs of the reference take, for each batch size.

A submission that needs significantly fewer epochs than the reference is refused, since it has probably changed more
than the rules allow. The points hold 2N runs at each of two or more batch sizes, in the JSON form of
mlperf_logging.rcp_checker, which compares the N runs of a submission with them. The rules are in the section
"Reference Convergence Points" of the MLPerf Training Rules (mlcommons/training_policies, training_rules.adoc).

rcp_checker accepts only the benchmarks in its own table, so this module adds ours to it before a check.
"""

import glob
import io
import json
import logging
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlperf_logging.rcp_checker import rcp_checker

from speech_recognition.errors import InputError
from speech_recognition.files import read_json
from speech_recognition.mlperf.benchmarks import benchmarks
from speech_recognition.mlperf.check import RULESET, check_log
from speech_recognition.mlperf.log_table import log_table
from speech_recognition.mlperf.messages import messages
from speech_recognition.runs.series_folder import SeriesFolder

RUNS = 10
"""Number of runs in a submission (N), the same as for rnnt, MLPerf's other speech benchmark."""

_NEVER = 1e9
"""Number of epochs that rcp_checker assigns to a run that missed its target."""


_MISSES = (
    "run_stop: the run did not end with success",
    "run_stop: the last evaluation is above the target",
)
"""Violations of a run that only missed its target, which counts as one that never converges."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Result of rcp_checker for the runs of a submission."""

    passed: bool
    message: str
    """Reason of the verdict and, if it was computed, the submission's mean number of epochs, in one line."""
    normalization: float = 1.0
    """Factor to multiply the score by; above 1 if the runs took fewer epochs than the reference on average."""


def named_benchmark(results: Sequence[Path]) -> str:
    """Return the benchmark that the logs name. Raises InputError if one names none, or a different one."""
    names = []
    for path in results:
        lines = log_table(path)
        names += lines.loc[lines["key"] == "submission_benchmark", "value"].tolist() or [None]
        if names[-1] not in [*benchmarks()] or names[-1] != names[0]:
            wanted = names[0] if names[0] in [*benchmarks()] else " or ".join(benchmarks())
            raise InputError(f"{path}: submission_benchmark is {names[-1]!r}, must be {wanted}; run check-log on it")
    return str(names[0])


def reference_points(benchmark: str) -> Path | None:
    """Return the file with the points of a benchmark, or None if it has none."""
    path = Path(__file__).parent / "points" / f"{benchmark}.json"
    # Only a known name may become part of a path.
    return path if benchmark in benchmarks() and path.is_file() else None


def closed_faults(results: Sequence[Path]) -> list[str]:
    """Return each rule of the closed division that a log breaks, a line for each; a run may have missed its target.

    Only runs of the closed division are compared with the reference. A log that somebody relabelled breaks the rules by
    what it holds. Raises InputError if a log cannot be read.
    """
    return [
        f"{path.name}: {violation}"
        for path in results
        for violation in check_log(path, "closed")
        if violation.message not in _MISSES
    ]


def check_convergence(folder: Path, points: Path) -> Verdict:
    """Compare the results of the series in `folder` with the reference convergence points in the file `points`.

    The lowest and the highest number of epochs are dropped. The runs fail if the mean of the others is lower than the
    reference's with p <= 0.05 in a one-sided t-test. Raises InputError if a result is missing or a file cannot be read.
    """
    return check_runs(SeriesFolder(folder).results(), points)


def check_runs(results: Sequence[Path], points: Path) -> Verdict:
    """Compare the runs with these logs, whatever their names, as `check_convergence` does."""
    if len(results) < 3:
        return Verdict(passed=False, message=f"{len(results)} result files; the check needs at least 3")
    size, epochs = _epochs(results)
    if size == -1:
        return Verdict(passed=False, message="global_batch_size is missing, or differs between the files")
    if epochs is None:
        return Verdict(passed=False, message="more than one run did not reach the target")
    benchmark, ours = _points(points)[0]["Benchmark"], named_benchmark(results)
    if benchmark != ours:
        raise InputError(
            f"{points}: reference convergence points of {benchmark}; {results[0].parent} has runs of {ours}"
        )
    with _opened(points) as file, _linked(results) as folder, messages(logging.INFO) as said:
        passed, message, normalization = rcp_checker.check_directory(
            glob.escape(folder), "training", RULESET, False, False, rcp_file=file, rcp_pass="pruned_rcps"
        )
    mean = next((text for text in said if text.startswith("Submission mean epochs")), "")
    return Verdict(passed=passed, message=f"{message}. {mean}".strip(". "), normalization=float(normalization))


def record(results: Sequence[Path], about: Mapping[str, Any]) -> dict[str, Any]:
    """Return an entry of the points, in rcp_checker's form, from the logs of runs at one batch size.

    `about` holds the entry's Creator, When, Platform, Threads, Precision and Hyperparams. The entry has the samples to
    converge too, which rcp_checker leaves unread. Raises InputError if there are fewer than 2N runs, or if a run missed
    its target.
    """
    size, epochs = _epochs(results)
    if epochs is None or max(epochs) >= _NEVER or size == -1:
        raise InputError(
            f"{results[0].parent}: a run missed its target or has a different batch size;"
            f" see {SeriesFolder(results[0].parent).summary.name}"
        )
    if len(results) < 2 * RUNS:
        raise InputError(f"{results[0].parent}: {len(results)} runs; a reference needs {2 * RUNS}")
    return {
        "Benchmark": named_benchmark(results),
        **about,
        "BS": size,
        "Epochs to converge": sorted(epochs),
        "samples to converge": sorted(map(_samples, results)),
    }


def points_table(points: Path) -> str:
    """Return a Markdown table of the points, with the lowest mean number of epochs that rcp_checker accepts."""
    with _opened(points) as file, messages(logging.INFO):
        benchmark = _points(points)[0]["Benchmark"]
        processed = rcp_checker.RCP_Checker("training", RULESET, benchmark, False, file).rcp_data
    lines = ["| batch size | runs | epochs, mean | standard deviation | least mean accepted |", "|---|---|---|---|---|"]
    for each in processed.values():
        epochs = each["Epochs to converge"]
        lines.append(
            f"| {each['BS']} | {len(epochs)} | {each['RCP Mean']:.2f} | {statistics.pstdev(epochs):.2f}"
            f" | {each['Min Epochs']:.2f} |"
        )
    return "\n".join(lines)


def _epochs(results: Sequence[Path]) -> tuple[int, list[float] | None]:
    """Return the batch size and the epochs to converge of the runs, as rcp_checker reads them.

    The size is -1 if it is missing or differs; the epochs are None if two or more runs missed the target. Raises
    InputError on values that no run of this benchmark writes: rcp_checker would use the benchmark's name as part of a
    file name, and would loop for ever on some numbers.
    """
    named_benchmark(results)
    with messages(logging.INFO):
        try:
            size, epochs, _ = rcp_checker.get_submission_epochs([str(path) for path in results], RULESET, False)
        except (OSError, ValueError, KeyError, TypeError, UnboundLocalError) as error:
            raise InputError(f"{results[0].parent}: a result cannot be read ({error}); run check-log on each") from None
    if size != -1 and not _is_size(size):
        raise InputError(f"{results[0].parent}: a result has no valid batch size; run check-log on each")
    if epochs is not None and not all(each == _NEVER or _is_count(each) for each in epochs):
        raise InputError(f"{results[0].parent}: a result has no valid number of epochs; run check-log on each")
    return size, epochs


def _samples(result: Path) -> int:
    """Return the number of utterances that a run had trained on at its last evaluation."""
    lines = log_table(result)
    return int(lines.loc[lines["key"] == "eval_accuracy", "samples_count"].iloc[-1])


@contextmanager
def _linked(results: Sequence[Path]) -> Iterator[str]:
    """Yield a folder with links to the logs under the names that rcp_checker looks for; it is removed at the end."""
    with tempfile.TemporaryDirectory() as folder:
        for number, path in enumerate(results):
            SeriesFolder(Path(folder)).result(number).symlink_to(path.absolute())
        yield folder


def _opened(points: Path) -> io.StringIO:
    """Return an open file for rcp_checker with the points, whose benchmark is added to its table."""
    entries = _points(points)
    rcp_checker.submission_runs["training"].setdefault(entries[0]["Benchmark"], RUNS)
    return io.StringIO(json.dumps(dict(enumerate(entries))))


def _points(points: Path) -> list[dict[str, Any]]:
    """Return the checked fields of the points, and nothing else from their file; all are of one benchmark."""
    entries = read_json(points, "give a file in MLPerf's form")
    if not isinstance(entries, dict) or not entries or not all(map(_is_point, entries.values())):
        raise InputError(
            f"{points}: cannot be read as reference convergence points (an entry is for none of"
            f" {', '.join(benchmarks())}, or lacks BS, Hyperparams or Epochs to converge); give a file in MLPerf's form"
        )
    kept = ("Benchmark", "BS", "Epochs to converge")
    checked = [{name: entry[name] for name in kept} | {"Hyperparams": {}} for entry in entries.values()]
    if len({entry["Benchmark"] for entry in checked}) > 1:
        raise InputError(f"{points}: has points of several benchmarks; give a file with points of one")
    return checked


def _is_point(entry: object) -> bool:
    match entry:
        case {"Benchmark": name, "BS": size, "Hyperparams": dict(), "Epochs to converge": [_, _, _, *_] as epochs}:
            return name in [*benchmarks()] and _is_size(size) and all(map(_is_count, epochs))
    return False


def _is_size(value: object) -> bool:
    return type(value) is int and 1 <= value <= 2**20


def _is_count(value: object) -> bool:
    """Return whether `value` is a number of epochs that a run can take."""
    return type(value) in (int, float) and 0 < value <= 10_000  # type: ignore[operator]
