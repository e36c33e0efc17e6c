"""Reference convergence points: how many epochs a run takes, by which a submission that takes fewer is found.

Two or more batch sizes, 2N runs at each, in MLPerf's own form; its `rcp_checker` holds a submission's N runs
to them. It has a table of the benchmarks that it knows, in which this one is put when it is asked.
"""

import glob
import io
import json
import logging
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlperf_logging.rcp_checker import rcp_checker

from speech_recognition import settings
from speech_recognition.errors import InputError
from speech_recognition.files import read_json
from speech_recognition.mlperf.check import RULESET
from speech_recognition.mlperf.log_table import log_frame
from speech_recognition.mlperf.messages import messages
from speech_recognition.mlperf.run_log import BENCHMARK

RUNS = 10
"""Runs of a submission, as for MLPerf's other speech benchmark."""

_NEVER = 1e9
"""What the checker takes for the epochs of a run that missed its target."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the official checker says of a submission's convergence."""

    passed: bool
    message: str
    normalization: float = 1.0
    """what the score is to be multiplied with, for converging somewhat faster than the reference"""


def reference_points(preset: str) -> Path | None:
    """The file of a preset's points; None if there is none yet. Raises InputError if there is no such preset."""
    settings.preset(preset)  # no other text becomes a path
    path = Path(__file__).parent / "points" / f"{preset}.json"
    return path if path.is_file() else None


def check_convergence(folder: Path, points: Path) -> Verdict:
    """Hold the `result_*.txt` in `folder` to the points.

    The mean number of epochs without the lowest and the highest must not be so low that it differs
    from the reference's at the level of 5% in a one-sided t-test. Raises InputError if a file cannot be read.
    """
    results = sorted(folder.glob("result_*.txt"))
    if not results:
        raise InputError(f"{folder}: no result_0.txt and so on; give the folder of a run_and_time.sh --runs")
    if len(results) < 3:
        return Verdict(passed=False, message=f"{len(results)} result files; it takes three to leave out two of them")
    size, epochs = _epochs(results)
    if size == -1:
        return Verdict(passed=False, message="no global_batch_size, or not the same one in all files")
    if epochs is None:
        return Verdict(passed=False, message="more than one run did not reach the target")
    rcp_checker.submission_runs["training"].setdefault(BENCHMARK, RUNS)
    with _opened(points) as file, messages(logging.INFO) as said:
        passed, message, normalization = rcp_checker.check_directory(
            glob.escape(str(folder)), "training", RULESET, False, False, rcp_file=file, rcp_pass="pruned_rcps"
        )
    mean = next((text for text in said if text.startswith("Submission mean epochs")), "")
    return Verdict(passed=passed, message=f"{message}. {mean}".strip(". "), normalization=float(normalization))


def record(results: Sequence[Path], about: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the points, in the official form, from the logs of runs at one batch size.

    about: Creator, When, Platform, Precision, Hyperparams. Raises InputError on fewer than 2N runs, or
    on one that missed its target.
    """
    size, epochs = _epochs(results)
    if epochs is None or max(epochs) >= _NEVER or size == -1:
        raise InputError(f"{results[0].parent}: a run missed its target or has another batch size; see summary.json")
    if len(results) < 2 * RUNS:
        raise InputError(f"{results[0].parent}: {len(results)} runs; a reference takes {2 * RUNS}")
    return {"Benchmark": BENCHMARK, **about, "BS": size, "Epochs to converge": sorted(epochs)}


def summary(points: Path) -> str:
    """A Markdown table of the points, with the least mean that the checker accepts."""
    rcp_checker.submission_runs["training"].setdefault(BENCHMARK, RUNS)
    with _opened(points) as file, messages(logging.INFO):
        processed = rcp_checker.RCP_Checker("training", RULESET, BENCHMARK, False, file).rcp_data
    lines = ["| batch size | runs | epochs, mean | standard deviation | least mean accepted |", "|---|---|---|---|---|"]
    for each in processed.values():
        epochs = each["Epochs to converge"]
        lines.append(
            f"| {each['BS']} | {len(epochs)} | {each['RCP Mean']:.2f} | {statistics.pstdev(epochs):.2f}"
            f" | {each['Min Epochs']:.2f} |"
        )
    return "\n".join(lines)


def _epochs(results: Sequence[Path]) -> tuple[int, list[float] | None]:
    """Batch size and epochs to converge, as the official checker reads them.

    Raises InputError unless they are what a run of this benchmark writes: it makes a file's name of another
    benchmark, and never ends on some numbers.
    """
    for path in results:
        log_frame(path)
    with messages(logging.INFO):
        try:
            size, epochs, benchmark = rcp_checker.get_submission_epochs([str(path) for path in results], RULESET, False)
        except (OSError, ValueError, KeyError, TypeError, UnboundLocalError) as error:
            raise InputError(f"{results[0].parent}: a result cannot be read ({error}); check-log says where") from None
    if size != -1 and not (benchmark == BENCHMARK and _is_size(size)):
        raise InputError(f"{results[0].parent}: no runs of {BENCHMARK}, or no batch size; check-log says where")
    if epochs is not None and not all(each == _NEVER or _is_count(each) for each in epochs):
        raise InputError(f"{results[0].parent}: a result has no number of epochs; check-log says where")
    return size, epochs


def _opened(points: Path) -> io.StringIO:
    """The checked part of the points, as the file that the official checker reads."""
    entries = read_json(points, "give a file in MLPerf's form")
    if not isinstance(entries, dict) or not entries or not all(map(_is_point, entries.values())):
        raise InputError(
            f"{points}: cannot be read as reference convergence points (an entry is not of {BENCHMARK},"
            " or lacks Benchmark, BS, Hyperparams or Epochs to converge); give a file in MLPerf's form"
        )
    kept = ("Benchmark", "BS", "Epochs to converge")
    checked = [{name: entry[name] for name in kept} | {"Hyperparams": {}} for entry in entries.values()]
    return io.StringIO(json.dumps(dict(enumerate(checked))))


def _is_point(entry: object) -> bool:
    match entry:
        case {"Benchmark": name, "BS": size, "Hyperparams": dict(), "Epochs to converge": [_, _, _, *_] as epochs}:
            return name == BENCHMARK and _is_size(size) and all(map(_is_count, epochs))
    return False


def _is_size(value: object) -> bool:
    return type(value) is int and 1 <= value <= 2**20


def _is_count(value: object) -> bool:
    """Whether `value` is a number of epochs that a run can take."""
    return type(value) in (int, float) and 0 < value <= 10_000  # type: ignore[operator]
