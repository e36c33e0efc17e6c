"""22,050 Hz to 16,000 Hz in integers, so that the result is the same on every processor.

A polyphase filter for the ratio 320/441: output sample n lies at input position
441 n / 320, between two input samples in one of 320 phases, and each phase has its
own coefficients: a sinc with its cutoff at 7,600 Hz under a Hann window, in units of
2^-15. They come from decimal arithmetic, whose every operation is exactly defined
(IEEE 754-2008 decimal), where a float's sine may differ in its last bit between
processors and C libraries. The products are summed in 64-bit integers.
"""

from decimal import Context, Decimal, localcontext
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

UP, DOWN = 320, 441
"""The ratio of the rates, 16,000 / 22,050, in lowest terms."""

HALF_TAPS = 24
"""Input samples that a filter reaches to each side."""

UNIT_BITS = 15
"""The coefficients of a phase add up to exactly 2^15."""

_CUTOFF = Decimal(19) / Decimal(8820)
"""Twice the cutoff, 7,600 Hz, over the rate of the phases, 320 * 22,050 Hz."""

_PI = Decimal("3.14159265358979323846264338327950288419716939937510")
_DIGITS = 40
_FULL_SCALE = 32_767


def resampled_length(count: int) -> int:
    """Samples that `resample` returns for `count` input samples: every position before the input's end."""
    return -(-count * UP // DOWN)


def resample(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """One channel at 22,050 Hz -> the same at 16,000 Hz, scaled down as a whole where it would clip.

    The filter's overshoot can exceed 16 bits. Such a recording is divided by its own
    peak, which keeps its shape; clipping would distort it.
    """
    count = resampled_length(len(samples))
    blocks = -(-count // UP)
    # Zeros stand before the first sample and after the last one that any tap can reach.
    padded = np.zeros(blocks * DOWN + 2 * HALF_TAPS, dtype=np.int64)
    padded[HALF_TAPS - 1 : HALF_TAPS - 1 + len(samples)] = samples
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * HALF_TAPS)
    sums = np.empty((blocks, UP), dtype=np.int64)
    for phase, taps in enumerate(coefficients()):
        first = phase * DOWN // UP
        sums[:, phase] = windows[first::DOWN][:blocks] @ taps
    return _to_16_bits(sums.reshape(-1)[:count])


def _to_16_bits(sums: NDArray[np.int64]) -> NDArray[np.int16]:
    """Filter sums in units of 2^-15 -> rounded samples, without clipping."""
    unit = 1 << UNIT_BITS
    peak = int(np.abs(sums).max(initial=0))
    if (peak + unit // 2) // unit <= _FULL_SCALE:
        return ((sums + unit // 2) // unit).astype(np.int16)
    return ((sums * _FULL_SCALE + peak // 2) // peak).astype(np.int16)


@lru_cache(maxsize=1)
def coefficients() -> NDArray[np.int64]:
    """The filter of every phase: [phase, tap], each row adding up to 2^15.

    Tap j of phase p weighs the input sample that lies (j - HALF_TAPS + 1) - p * 441 % 320 / 320
    samples after the output's position.
    """
    with localcontext(Context(prec=_DIGITS)):
        response = [_impulse_response(step) for step in range(HALF_TAPS * UP + 1)]
    table = np.empty((UP, 2 * HALF_TAPS), dtype=np.int64)
    for phase in range(UP):
        fraction = phase * DOWN % UP
        row = [response[abs((tap - HALF_TAPS + 1) * UP - fraction)] for tap in range(2 * HALF_TAPS)]
        table[phase] = _whole_units(row)
    return table


def _impulse_response(step: int) -> Decimal:
    """The windowed sinc at `step` / 320 input samples from its middle, not normalised."""
    if step == 0:
        return Decimal(1)
    angle = _PI * _CUTOFF * step
    window = (1 + _cosine(_PI * step / (HALF_TAPS * UP))) / 2
    return _cosine(angle - _PI / 2) / angle * window


def _cosine(angle: Decimal) -> Decimal:
    """Cosine by its power series, after the angle is brought into [-pi, pi]."""
    turn = 2 * _PI
    angle -= turn * (angle / turn).to_integral_value()
    total = term = Decimal(1)
    order = 0
    while abs(term) > Decimal(10) ** -_DIGITS:
        order += 2
        term = -term * angle * angle / (order * (order - 1))
        total += term
    return total


def _whole_units(row: list[Decimal]) -> list[int]:
    """Scale a phase's filter to add up to 2^15 and round; the largest tap takes what rounding left."""
    unit = 1 << UNIT_BITS
    with localcontext(Context(prec=_DIGITS)):
        scale = unit / sum(row, Decimal(0))
        whole = [int((value * scale).to_integral_value()) for value in row]
    whole[whole.index(max(whole))] += unit - sum(whole)
    return whole
