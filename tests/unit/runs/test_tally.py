"""Tests of the sums over an epoch's steps."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.runs.tally import Tally

STEPS = st.lists(st.tuples(st.lists(st.integers(1, 480_000), min_size=1, max_size=8), st.floats(0, 1e4), st.booleans()))


@given(STEPS)
def test_the_loss_is_the_mean_over_utterances_of_steps_that_counted(
    steps: list[tuple[list[int], float, bool]],
) -> None:
    tally = Tally(epoch=2)
    for samples, loss, good in steps:
        tally.add(samples, loss if good else math.nan, 0.1, updated=good)
    counted = [(len(samples), loss) for samples, loss, good in steps if good]
    assert tally.steps == len(steps) and tally.skipped == len(steps) - len(counted)
    assert tally.utterances == sum(count for count, _ in counted)
    assert tally.audio == pytest.approx(sum(sum(samples) for samples, _, _ in steps) / 16_000)
    if counted:
        mean = sum(count * loss for count, loss in counted) / tally.utterances
        assert tally.mean_loss == pytest.approx(mean, abs=1e-9)
    else:
        assert math.isnan(tally.mean_loss)


def test_a_good_step_ends_a_row_of_skipped_ones() -> None:
    tally = Tally()
    for good, row in ((False, 1), (False, 2), (True, 0), (False, 1)):
        tally.add([16_000], 1.0, 0.1, updated=good)
        assert tally.skipped_in_a_row == row
    assert tally.skipped == 3


def test_it_comes_back_from_its_own_values() -> None:
    tally = Tally(epoch=3)
    tally.add([16_000, 32_000], 2.5, 0.1, updated=True)
    assert Tally(**vars(tally)) == tally
