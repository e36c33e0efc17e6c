"""Tests of the phases of a run's time, read from its log."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from speech_recognition.report.phases import PHASES, phases, total_seconds
from speech_recognition.report.record import read_record

LINES = [
    ("init_start", 0),
    ("init_stop", 3),
    ("run_start", 4),
    ("epoch_start", 5),
    ("epoch_stop", 45),
    ("eval_start", 45),
    ("eval_accuracy", 47),
    ("eval_stop", 48),
    ("epoch_start", 49),
    ("epoch_stop", 89),
    ("eval_start", 89),
    ("eval_stop", 92),
    ("run_stop", 92),
]


def log(lines: list[tuple[str, int]]) -> pd.DataFrame:
    return pd.DataFrame({"key": [key for key, _ in lines], "time_ms": [1000 * second for _, second in lines]})


def test_every_second_is_in_one_phase(run_folder: Callable[..., Path]) -> None:
    epochs = pd.DataFrame({"waiting_seconds": [1.0, 2.0], "saving_seconds": [0.5, 0.0]})
    record = replace(read_record(run_folder()), logs=[log(LINES)], epochs=epochs)
    spent = phases(record)
    assert list(spent) == list(PHASES)
    assert spent == {
        "initialise": 4.0,
        "read manifests": 1.0,
        "train": 76.5,
        "wait for data": 3.0,
        "evaluate": 6.0,
        "save": 1.5,
    }
    assert sum(spent.values()) - spent["initialise"] == total_seconds(record) == 88


def test_what_a_kill_left_open_is_not_counted_and_a_continuation_is_added(run_folder: Callable[..., Path]) -> None:
    record = read_record(run_folder())
    killed = [*LINES[:4], ("epoch_stop", 15), ("eval_start", 15)]
    both = replace(record, logs=[log(killed), log(LINES)], epochs=pd.DataFrame())
    assert phases(both)["train"] == pytest.approx(10 + 80)
    assert phases(both)["evaluate"] == 6 and total_seconds(both) == 88
