"""Tests of the times at which words are spoken."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.inference.timing import lag, placed
from speech_recognition.inference.words import Word


def peaks(*times: tuple[float, float]) -> list[Word]:
    """Return words with the given times of their first and last peaks."""
    return [Word(word="A", start=start, end=end, confidence=1.0) for start, end in times]


def spoken(words: list[Word], sounds: list[tuple[float, float]], seconds: float = 10.0) -> list[tuple[float, float]]:
    return [(each.start, each.end) for each in placed(words, sounds, seconds)]


def test_the_lag_is_that_of_the_first_words_after_pauses() -> None:
    words = peaks((1.1, 1.3), (1.6, 1.9), (4.12, 4.2), (7.5, 7.6))
    assert lag(words, [(1.0, 2.0), (4.0, 4.3), (7.3, 7.7)]) == pytest.approx(0.12 + 0.025)


def test_sound_without_a_word_and_sound_from_the_beginning_tell_no_lag() -> None:
    words = peaks((0.3, 0.5), (3.0, 3.2))
    assert lag(words, [(0.0, 1.0), (2.0, 2.1)]) == 0.1
    assert lag(words, [(0.0, 1.0), (2.0, 2.1), (2.95, 3.3)]) == pytest.approx(0.05 + 0.025)
    assert lag([], [(1.0, 2.0)]) == 0.1


def test_a_word_ends_with_the_sound_or_where_the_next_begins() -> None:
    words = peaks((1.075, 1.5), (1.775, 2.1))
    assert spoken(words, [(1.0, 1.95)]) == [(0.975, 1.65), (1.675, 1.95)]
    assert spoken(words, [(1.0, 1.6), (1.7, 3.0)]) == [(0.975, 1.6), (1.675, 2.25)]


def test_no_word_leaves_the_recording() -> None:
    assert spoken(peaks((0.02, 0.1), (1.98, 1.99)), [], 2.0) == [(0.0, 0.25), (1.88, 2.0)]


def test_no_words_have_no_times() -> None:
    assert placed([], [(1.0, 2.0)], 3.0) == []


times = st.lists(st.floats(0, 9), max_size=12).map(sorted)


@given(times, times)
def test_words_stay_in_order(edges: list[float], sounds: list[float]) -> None:
    words = peaks(*zip(edges[::2], edges[1::2], strict=False))
    found = placed(words, [*zip(sounds[::2], sounds[1::2], strict=False)], 9.0)
    assert len(found) == len(words)
    assert all(0 <= each.start <= each.end <= 9 for each in found)
    assert all(one.end <= other.start for one, other in pairwise(found))
