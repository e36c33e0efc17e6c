"""Tests of scoring a series of runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.mlperf.series import RunResult, exit_status, series_score, series_table


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
