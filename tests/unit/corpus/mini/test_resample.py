"""Tests of the resampling in integers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from speech_recognition.corpus.mini.resample import (
    DOWN,
    HALF_TAPS,
    UNIT_BITS,
    UP,
    coefficients,
    resample,
    resampled_length,
)

recordings = arrays(np.int16, st.integers(0, 1500), elements=st.integers(-12_000, 12_000))


def tone(hertz: float, count: int = 22_050) -> np.ndarray:
    return np.round(20_000 * np.sin(2 * np.pi * hertz * np.arange(count) / 22_050)).astype(np.int16)


def decibels(resampled: np.ndarray) -> float:
    """Return the level of the middle relative to the tone that went in, in dB."""
    middle = resampled[500:-500].astype(float)
    return 20 * math.log10(math.sqrt(np.mean(middle**2)) / (20_000 / math.sqrt(2)) + 1e-12)


@given(recordings)
def test_the_length_is_that_of_the_positions_inside_the_input(samples: np.ndarray) -> None:
    count = len(resample(samples))
    assert count == resampled_length(len(samples))
    # Output n lies at input position n * DOWN / UP; the last is inside, the next one is not.
    assert count == 0 or (count - 1) * DOWN < len(samples) * UP
    assert count * DOWN >= len(samples) * UP


def test_every_phase_passes_a_constant_unchanged() -> None:
    assert (coefficients().sum(axis=1) == 1 << UNIT_BITS).all()
    resampled = resample(np.full(2000, 1234, dtype=np.int16))
    assert (resampled[50:-50] == 1234).all()


def test_the_coefficients_are_the_windowed_sinc_to_half_a_unit() -> None:
    taps = np.arange(2 * HALF_TAPS) - HALF_TAPS + 1
    for phase in range(0, UP, 7):
        distance = taps - phase * DOWN % UP / UP
        response = np.sinc(2 * 7600 / 22_050 * distance) * (0.5 + 0.5 * np.cos(np.pi * distance / HALF_TAPS))
        expected = response / response.sum() * (1 << UNIT_BITS)
        error = np.abs(coefficients()[phase] - expected)
        # The largest tap takes the sum of all roundings.
        error[np.argmax(expected)] = 0
        assert error.max() < 0.5 + 1e-6


@given(recordings, recordings)
def test_a_sum_is_resampled_to_the_sum_within_the_rounding(first: np.ndarray, second: np.ndarray) -> None:
    count = min(len(first), len(second))
    first, second = first[:count] // 2, second[:count] // 2
    apart = resample(first).astype(int) + resample(second)
    assert np.abs(apart - resample(first + second)).max(initial=0) <= 1


@given(recordings, st.integers(0, 3))
def test_a_shift_by_whole_periods_of_the_ratio_shifts_the_result(samples: np.ndarray, periods: int) -> None:
    shifted = np.concatenate([np.zeros(periods * DOWN + DOWN, np.int16), samples])
    plain = np.concatenate([np.zeros(DOWN, np.int16), samples])
    np.testing.assert_array_equal(resample(shifted)[periods * UP :], resample(plain))


@pytest.mark.parametrize("hertz", [100, 1000, 3000, 6500])
def test_speech_frequencies_pass(hertz: int) -> None:
    resampled = resample(tone(hertz))
    assert abs(decibels(resampled)) < 0.1
    expected = 20_000 * np.sin(2 * np.pi * hertz * np.arange(len(resampled)) / 16_000)
    assert np.abs(resampled - expected)[100:-100].max() < 100


@pytest.mark.parametrize("hertz", [8500, 9000, 10_500])
def test_frequencies_that_would_fold_back_are_removed(hertz: int) -> None:
    assert decibels(resample(tone(hertz))) < -40


def test_an_overshoot_scales_the_recording_and_does_not_clip_it() -> None:
    # A square wave at full scale: a filter of limited bandwidth overshoots its edges.
    square = np.where(np.arange(4000) // 50 % 2 == 0, 32_767, -32_768).astype(np.int16)
    resampled = resample(square)
    assert np.abs(resampled.astype(int)).max() == 32_767
    assert np.count_nonzero(np.abs(resampled.astype(int)) == 32_767) < len(resampled) // 100
    quiet = resample(square // 4).astype(float)
    ratio = resampled @ quiet / (quiet @ quiet)
    assert 3 < ratio < 4
    assert np.abs(resampled - ratio * quiet).max() < 4
