"""Tests of the bounds of parameters."""

import math

import pytest

from speech_recognition.bounds import Range


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "text"),
    [
        (Range(1, 8), [1, 8], [0, 9], "from 1 to 8"),
        (Range(0, 10, above=True), [1e-9, 10], [0, 11, math.nan, math.inf], "above 0, at most 10"),
        (Range(0, 1, below=True), [0, 0.999], [1, -1, math.nan], "at least 0, below 1"),
    ],
)
def test_a_range_holds_its_ends_unless_it_says_otherwise(
    bounds: Range, inside: list[float], outside: list[float], text: str
) -> None:
    assert all(map(bounds.holds, inside)) and not any(map(bounds.holds, outside))
    assert str(bounds) == text
