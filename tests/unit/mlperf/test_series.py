"""Tests of scoring a series of runs."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.errors import InputError
from speech_recognition.mlperf.series import RunResult, exit_status, run_result, series_score, series_table
from speech_recognition.runs.metrics import EpochMetrics, write_metrics
from speech_recognition.runs.series_folder import SeriesFolder


def results(*seconds: float, missed: int = 0, crashed: int = 0) -> list[RunResult]:
    good = [RunResult(run=0, seed=1, status=0, seconds=each, epochs=3, wer=20.0) for each in seconds]
    return (
        good
        + [RunResult(run=0, seed=1, status=3, seconds=999.0)] * missed
        + [RunResult(run=0, seed=1, status=1)] * crashed
    )


def test_the_olympic_score_leaves_out_the_fastest_and_the_slowest() -> None:
    assert series_score(results(10, 50, 20, 30)).olympic == 25
    assert series_score(results(10, 20, 30, missed=1)).olympic == 25  # the run that missed counts as the slowest
    assert series_score(results(10, 20, 30, crashed=1)).olympic == 25


@pytest.mark.parametrize(
    "without", [results(10, 20), results(10, 20, 30, missed=2), results(missed=3), results(5, missed=1)]
)
def test_there_is_no_score_of_too_few_runs(without: list[RunResult]) -> None:
    assert series_score(without).olympic is None
    assert "olympic score: none" in series_table(without)


@given(st.lists(st.floats(1, 1e6), min_size=3, max_size=20))
def test_the_score_lies_between_the_extremes_whatever_the_order(seconds: list[float]) -> None:
    found, turned = series_score(results(*seconds)), series_score(results(*reversed(seconds)))
    assert found.olympic is not None
    assert min(seconds) <= found.olympic + 1e-6 and found.olympic <= max(seconds) + 1e-6
    assert found.olympic == pytest.approx(turned.olympic)


@pytest.mark.parametrize(
    ("series", "expected"),
    [(results(1, 2), 0), (results(1, missed=1), 3), (results(1, missed=1, crashed=1), 1), (results(1, crashed=1), 1)],
)
def test_the_exit_status_is_that_of_the_worst(series: list[RunResult], expected: int) -> None:
    assert exit_status(series) == expected


def test_the_result_of_a_run_counts_its_epochs_of_training(tmp_path: Path) -> None:
    folder = SeriesFolder(tmp_path)
    event = ':::MLLOG {{"time_ms": {}, "event_type": "", "key": "{}", "value": null, "metadata": {{}}}}\n'
    folder.result(1).write_text(event.format(1_000, "run_start") + event.format(161_500, "run_stop"))
    rows = [
        EpochMetrics(epoch=epoch, wer=wer, cer=1.0, utterance_wer=wer, eval_seconds=1.0)
        for epoch, wer in enumerate((99.0, 53.2, 17.1))
    ]
    write_metrics(folder.run(1).metrics, rows)
    assert run_result(folder, 1, 7, 0) == RunResult(run=1, seed=7, status=0, seconds=160.5, epochs=2, wer=17.1)


def test_a_run_that_failed_before_its_log_began_has_neither_time_nor_epochs(tmp_path: Path) -> None:
    result = run_result(SeriesFolder(tmp_path), 0, 7, 1)
    assert (result.status, result.epochs) == (1, 0) and math.isnan(result.seconds) and math.isnan(result.wer)


def test_a_table_of_epochs_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    folder = SeriesFolder(tmp_path)
    folder.run(0).path.mkdir()
    folder.run(0).metrics.write_text("epoch,wer\n1\n")
    with pytest.raises(InputError, match=r"run_0/metrics\.csv: cannot be read as a table"):
        run_result(folder, 0, 7, 0)
