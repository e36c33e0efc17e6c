"""Tests of the significance of a difference between two runs."""

import numpy as np
import pandas as pd
import pytest

from speech_recognition.report.significance import difference


def table(errors: list[int], words: int = 5) -> pd.DataFrame:
    names = [f"u{number}" for number in range(len(errors))]
    return pd.DataFrame({"utterance_id": names, "reference": "A", "words": words, "word_errors": errors})


def test_a_difference_in_every_utterance_is_significant() -> None:
    found = difference(table([0, 1] * 20), table([1, 2] * 20))
    assert found is not None
    assert found.points == found.low == found.high == pytest.approx(20)
    assert found.p_value == pytest.approx(2e-4) and found.utterances == 40


def test_equal_runs_do_not_differ() -> None:
    found = difference(table([1, 0, 2] * 10), table([1, 0, 2] * 10))
    assert found is not None and found.points == 0 and found.p_value == 1


def test_the_interval_holds_the_difference_and_is_the_normal_ones_width() -> None:
    draw = np.random.default_rng(1)
    first, second = draw.integers(0, 3, 400), draw.integers(0, 3, 400)
    found = difference(table(first.tolist()), table(second.tolist()))
    assert found is not None and found.low < found.points < found.high
    deviation = 100 * (second - first).std() / 5 / 20
    assert found.high - found.low == pytest.approx(2 * 1.96 * deviation, rel=0.05)
    assert difference(table(first.tolist()), table(second.tolist())) == found


def test_it_is_the_other_way_round_with_the_runs_in_the_other_order() -> None:
    one, other = table([0, 3, 1, 0] * 5), table([1, 1, 1, 2] * 5)
    forth, back = difference(one, other), difference(other, one)
    assert forth is not None and back is not None
    assert (forth.points, forth.low, forth.p_value) == pytest.approx((-back.points, -back.high, back.p_value))


def test_only_utterances_of_both_count_and_without_any_there_is_none() -> None:
    found = difference(table([0, 0, 0]), table([1, 1]))
    assert found is not None and found.utterances == 2
    assert difference(table([1]), table([1]).assign(reference="B")) is None
    assert difference(pd.DataFrame(), table([1])) is None
