"""Times of words: the peaks of CTC, moved to where the sound is.

CTC says when a symbol is likeliest, not when it is spoken. How much later that is depends on the training: for `mini`
with different seeds, from 0.02 to 0.13 s. Within a recording it hardly varies. So the lag is measured in each
recording, where sound after a pause shows when a word begins.
"""

import math
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace

from speech_recognition.inference.words import Word

Sound = tuple[float, float]
"""Seconds of the beginning and of the end of a stretch of sound without pauses."""

FURTHER = 0.025
"""Seconds by which the lag within a sentence exceeds that of the first word after a pause, fitted on the val set of
`mini` (benchmarks/word_times.py)."""

_DEFAULT_LAG = 0.1
"""Lag in seconds in a recording without a pause before a word."""

_LEAST_LAG, _MOST_LAG = -0.15, 0.4
"""Range in seconds, from the beginning of a sound, in which the first peak of its first word is looked for."""

_SHORTEST = 0.05
"""Seconds of sound at least after the beginning of a word."""

_LATEST_END = 0.15
"""Seconds in which a word may go on sounding after its last peak."""


def placed(words: Sequence[Word], sounds: Sequence[Sound], seconds: float) -> list[Word]:
    """Return `words`, whose times are those of their peaks, with the times at which they are spoken.

    A word ends where the sound ends or the next word begins. seconds: duration of the recording.
    """
    by = lag(words, sounds)
    starts = [min(max(0.0, each.start - by), seconds) for each in words]
    sound_ends = [*(end for _, end in sounds), math.inf]
    found = []
    for word, start, following in zip(words, starts, [*starts[1:], seconds], strict=False):
        sound_end = sound_ends[bisect_left(sound_ends, start + _SHORTEST)]
        end = max(start, min(word.end + _LATEST_END, sound_end, following))
        found.append(replace(word, start=round(start, 3), end=round(end, 3)))
    return found


def lag(words: Sequence[Word], sounds: Sequence[Sound]) -> float:
    """Return by how many seconds the first peak of a word comes after the word's beginning, in the median."""
    peaks = [*(each.start for each in words), math.inf]
    # Sound at the very beginning may have begun before the recording.
    pairs = [(start, peaks[bisect_left(peaks, start + _LEAST_LAG)]) for start, _ in sounds if start > 0]
    lags = [peak - start for start, peak in pairs if peak <= start + _MOST_LAG]
    return statistics.median(lags) + FURTHER if lags else _DEFAULT_LAG
