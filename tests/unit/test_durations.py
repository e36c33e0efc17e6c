"""Tests of durations as text."""

import pytest

from speech_recognition.durations import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.6, "1 min 0 s"), (303, "5 min 3 s"), (3599.7, "1 h 0 min"), (8059, "2 h 14 min")],
)
def test_a_time_has_the_units_that_a_person_uses(seconds: float, text: str) -> None:
    assert duration(seconds) == text
