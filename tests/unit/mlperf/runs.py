"""Logs of runs that took some minutes and epochs, and series of them, for the tests of scores and packages."""

import functools
import json
from collections.abc import Sequence
from pathlib import Path

import params
from speech_recognition import settings
from speech_recognition.mlperf.benchmarks import benchmark_of
from speech_recognition.mlperf.system import REQUIRED, describe
from speech_recognition.parameters import Params
from speech_recognition.runs.series_folder import SeriesFolder
from tests.unit.mlperf.conftest import LogLines, build_log

SUBMISSION = params.mini().submission
MINI = benchmark_of("mini").name


@functools.cache
def _log(epochs: int, reached: bool, division: str) -> LogLines:
    return build_log(wers=[50.0] * (epochs - 1) + [20.0 if reached else 40.0], division=division)


def timed_log(seed: int, minutes: float, epochs: int, reached: bool = True, division: str = "closed") -> LogLines:
    """Return the log of a run that took some minutes and epochs, and reached its target unless told otherwise."""
    lines = _log(epochs, reached, division)
    start = next(record["time_ms"] for _, key, record in lines.records() if key == "run_start")
    status = {"status": "success" if reached else "aborted"}
    stopped = lines.edited("run_stop", time_ms=start + round(minutes * 60_000), metadata=status)
    return stopped.edited("seed", value=seed)


def ten_logs(epochs: int = 5) -> list[LogLines]:
    """Return the logs of ten good runs of `mini`, which took 1 to 10 minutes."""
    return [timed_log(100 + number, 1.0 + number, epochs) for number in range(10)]


def write_log(path: Path, lines: Sequence[str]) -> None:
    """Write a log, and its folder if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def write_params(series: SeriesFolder, number: int, chosen: Params) -> None:
    """Write the parameters of a run of the series."""
    path = series.run(number).params
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings.to_dict(chosen)))


def complete_description(storage: Path) -> dict[str, str]:
    """Return the description of this machine, with every field that it does not tell."""
    described = describe(vars(SUBMISSION), nodes=1, gpus=0, storage=storage)
    return described | {name: described[name] or "told by a person" for name in REQUIRED}


def write_points(path: Path) -> Path:
    """Write reference convergence points of `mini` with a mean of 4.5 epochs at its batch size; return their path."""
    entry = {
        "Benchmark": MINI,
        "BS": params.mini().data.batch_size,
        "Hyperparams": {},
        "Epochs to converge": [3, 4, 5, 6] * 5,
    }
    path.write_text(json.dumps({"one": entry}))
    return path
