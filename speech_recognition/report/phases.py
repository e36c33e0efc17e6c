"""The time that a run spent in each phase, from the intervals in its logs and the times in metrics.csv."""

import pandas as pd

from speech_recognition.report.record import Record

PHASES = ("initialise", "read manifests", "train", "wait for data", "evaluate", "save")


def phases(record: Record) -> dict[str, float]:
    """Return the seconds that the run spent in each of PHASES.

    Initialisation is before run_start, the other phases are between run_start and run_stop. An interval that a kill
    left without an end is not counted.
    """
    # The logs have no lines for waiting and saving within an epoch; both are part of its time.
    logs = record.logs
    waiting, saving = (float(record.epochs.get(f"{name}_seconds", pd.Series()).sum()) for name in ("waiting", "saving"))
    return {
        "initialise": sum(_between(log, "init_start", "run_start") for log in logs),
        "read manifests": sum(_between(log, "run_start", "epoch_start") for log in logs),
        "train": max(0.0, sum(_between(log, "epoch_start", "epoch_stop") for log in logs) - waiting - saving),
        "wait for data": waiting,
        "evaluate": sum(_between(log, "eval_start", "eval_stop") for log in logs),
        "save": saving + sum(_between(log, "eval_stop", "epoch_start") for log in logs),
    }


def total_seconds(record: Record) -> float:
    """Return the seconds from run_start to run_stop, summed over the run's logs."""
    return sum(_between(log, "run_start", "run_stop") for log in record.logs)


def _between(log: pd.DataFrame, begin: str, end: str) -> float:
    """Return the summed seconds of the intervals from a `begin` line to the `end` line before the next `begin`."""
    total, since = 0.0, None
    for key, time in zip(log["key"], log["time_ms"], strict=True):
        if key == end and since is not None:
            total, since = total + (time - since) / 1000, None
        elif key == begin:
            since = time
    return total
