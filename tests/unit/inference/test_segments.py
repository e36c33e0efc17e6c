"""Tests of the division of a recording at its pauses."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.inference.segments import FRAME, Window, levels, speech, stretches, windows

STEP = 320


def sound(*parts: tuple[float, float]) -> np.ndarray:
    """Return noise with the given durations in seconds and amplitudes."""
    draw = np.random.default_rng(1)
    pieces = [draw.uniform(-loud, loud, round(seconds * 16_000)) for seconds, loud in parts]
    return np.concatenate(pieces).astype(np.int16)


def found(samples: np.ndarray) -> list[tuple[int, int]]:
    return stretches(speech(levels([samples])), 0.15)


def test_levels_do_not_depend_on_the_blocks() -> None:
    samples = sound((0.5, 3000), (0.105, 20))
    whole = levels([samples])
    assert len(whole) == 60
    np.testing.assert_array_equal(levels(np.array_split(samples, 7)), whole)
    assert len(levels([])) == 0


def test_speech_is_found_between_pauses_with_margins() -> None:
    assert found(sound((1, 20), (2, 3000), (1, 20), (1.5, 3000), (0.1, 20))) == [(85, 315), (385, 560)]


def test_a_short_pause_is_part_of_the_speech_and_a_click_is_none() -> None:
    assert found(sound((1, 20), (1, 3000), (0.25, 20), (1, 3000), (1, 20))) == [(85, 340)]
    assert found(sound((1, 20), (0.02, 3000), (1, 20), (1, 3000), (1, 20))) == [(187, 317)]


def test_a_quiet_speaker_after_a_loud_one_is_heard() -> None:
    # The noise around the first is louder than the second speaks; after ten seconds the threshold has followed.
    loud = [(1.0, 800.0), (1.0, 15000.0)] * 20
    quiet = [(1.0, 8.0), (1.0, 100.0)] * 20
    assert sum(start > 5000 for start, _ in found(sound(*loud, *quiet))) == 15


@pytest.mark.parametrize("loud", [0, 20, 3000])
def test_even_noise_is_no_speech(loud: float) -> None:
    assert found(sound((3, loud))) == []


def test_the_margin_is_what_is_asked_for_within_the_recording() -> None:
    is_speech = speech(levels([sound((0.05, 20), (1, 3000), (1, 20), (1, 3000), (1, 20))]))
    assert stretches(is_speech, 0.0) == [(5, 105), (205, 305)]
    assert stretches(is_speech, 0.1) == [(0, 115), (195, 315)]


def test_every_stretch_of_speech_has_a_window_of_its_own() -> None:
    assert windows([(0, 100), (100, 200)], STEP) == [
        Window(0, 100 * FRAME, False),
        Window(100 * FRAME, 200 * FRAME, False),
    ]


@given(st.integers(2001, 40_000))
def test_speech_without_pauses_is_divided_into_overlapping_windows(frames: int) -> None:
    parts = windows([(7, 7 + frames)], STEP)
    assert parts[0].start == 7 * FRAME and parts[-1].stop == (7 + frames) * FRAME
    assert [part.continues for part in parts] == [False] + [True] * (len(parts) - 1)
    assert all(0 < part.stop - part.start <= 20 * 16_000 for part in parts)
    for one, other in pairwise(parts):
        assert one.stop - other.start >= 2 * 16_000 or other is parts[-1]
        assert one.stop > other.start and (other.start - one.start) % STEP == 0


def test_speech_after_overlapping_windows_has_its_own() -> None:
    parts = windows([(0, 3000), (3010, 3100)], STEP)
    assert parts[-1] == Window(3010 * FRAME, 3100 * FRAME, False)
