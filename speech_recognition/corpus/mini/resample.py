"""Resampling from 22,050 Hz to 16,000 Hz in integers: the result is the same on every processor.

The method is a polyphase filter of ratio 320/441 (Crochiere and Rabiner, "Multirate Digital
Signal Processing", 1983). Output sample n lies at input position 441 n / 320, which is in one of
320 phases between two input samples. Each phase has its own coefficients: a sinc with cutoff
7,600 Hz under a Hann window, in units of 2^-15.

The coefficients are computed in decimal arithmetic, every operation of which IEEE 754-2008
defines exactly. A float's sine may differ in its last bit between processors and C libraries.
Products are summed in 64-bit integers: 48 of at most 2^15 * 2^15 stay below 2^36.
"""

from decimal import Context, Decimal, localcontext
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

UP, DOWN = 320, 441
"""Ratio of the sample rates, 16,000 / 22,050, in lowest terms."""

HALF_TAPS = 24
"""Input samples on each side of an output sample that contribute to it: 1.1 ms."""

UNIT_BITS = 15
"""Binary digits of a coefficient's unit: the coefficients of a phase add up to exactly 2^15, a gain of 1."""

_CUTOFF = Decimal(19) / Decimal(8820)
"""Twice the cutoff of 7,600 Hz divided by the rate of the phases, 320 * 22,050 Hz."""

_PI = Decimal("3.14159265358979323846264338327950288419716939937510")
"""Pi to 51 digits, more than the arithmetic keeps."""

_DIGITS = 40
"""Precision of the decimal arithmetic; only 5 digits are left after the rounding to units of 2^-15."""

_FULL_SCALE = 32_767
"""Largest value of a 16-bit sample."""


def resampled_length(count: int) -> int:
    """Return the length of the output for `count` input samples: ceil(count * 320 / 441)."""
    return -(-count * UP // DOWN)


def resample(samples: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return int16 [samples] at 22,050 Hz resampled to 16,000 Hz, scaled down as a whole if the result would clip."""
    count = resampled_length(len(samples))
    blocks = -(-count // UP)
    # Zeros before the first sample and after the last one, as far as any tap reaches.
    padded = np.zeros(blocks * DOWN + 2 * HALF_TAPS, dtype=np.int64)
    padded[HALF_TAPS - 1 : HALF_TAPS - 1 + len(samples)] = samples
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * HALF_TAPS)
    # A block is 320 output samples, one of each phase, and moves the filter by exactly 441 input samples.
    sums = np.empty((blocks, UP), dtype=np.int64)
    for phase, taps in enumerate(coefficients()):
        first = phase * DOWN // UP
        sums[:, phase] = windows[first::DOWN][:blocks] @ taps
    return _to_16_bits(sums.reshape(-1)[:count])


def _to_16_bits(sums: NDArray[np.int64]) -> NDArray[np.int16]:
    """Return filter sums, in units of 2^-15, as rounded samples.

    The filter's overshoot can exceed 16 bits. Dividing by the peak then keeps the waveform's shape,
    which clipping would distort.
    """
    # Half a unit before each floor division makes it round to nearest.
    unit = 1 << UNIT_BITS
    peak = int(np.abs(sums).max(initial=0))
    if (peak + unit // 2) // unit <= _FULL_SCALE:
        return ((sums + unit // 2) // unit).astype(np.int16)
    return ((sums * _FULL_SCALE + peak // 2) // peak).astype(np.int16)


@lru_cache(maxsize=1)
def coefficients() -> NDArray[np.int64]:
    """Return the filters of all phases as int64 [phase, tap]; each row adds up to 2^15.

    Tap j of phase p weights the input sample that lies (j - HALF_TAPS + 1) - (p * 441 % 320) / 320
    input samples after the output sample.
    """
    with localcontext(Context(prec=_DIGITS)):
        response = [_impulse_response(step) for step in range(HALF_TAPS * UP + 1)]
    table = np.empty((UP, 2 * HALF_TAPS), dtype=np.int64)
    for phase in range(UP):
        # The output sample lies fraction / 320 input samples after an input sample.
        fraction = phase * DOWN % UP
        row = [response[abs((tap - HALF_TAPS + 1) * UP - fraction)] for tap in range(2 * HALF_TAPS)]
        table[phase] = _whole_units(row)
    return table


def _impulse_response(step: int) -> Decimal:
    """Return the windowed sinc, not normalised, at a distance of `step` / 320 input samples from its centre."""
    if step == 0:
        return Decimal(1)
    angle = _PI * _CUTOFF * step
    # Hann window; sin(x) is computed as cos(x - pi / 2).
    window = (1 + _cosine(_PI * step / (HALF_TAPS * UP))) / 2
    return _cosine(angle - _PI / 2) / angle * window


def _cosine(angle: Decimal) -> Decimal:
    """Return the cosine of an angle from its power series, which converges fast after reduction to [-pi, pi]."""
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
    """Return a phase's filter in units of 2^-15. Its largest tap absorbs the rounding error, so that the sum is 2^15.

    With sums that differ between phases, a constant input would become a tone.
    """
    unit = 1 << UNIT_BITS
    with localcontext(Context(prec=_DIGITS)):
        scale = unit / sum(row, Decimal(0))
        whole = [int((value * scale).to_integral_value()) for value in row]
    whole[whole.index(max(whole))] += unit - sum(whole)
    return whole
