"""Division of a long recording at its pauses into stretches of speech that a bidirectional model can take whole.

A frame counts as speech if its level exceeds a threshold between the quietest and the loudest levels of the half
minute around it, so that the noise of the room and the loudness of a speaker may change during a recording.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speech_recognition.inference.blocks import Samples
from speech_recognition.parameters import SAMPLE_RATE

FRAME = SAMPLE_RATE // 100
"""Samples of a frame of 10 ms."""

_NEIGHBOURHOOD = 1000
"""Frames between two thresholds, each of which also considers as many frames before and after its own."""

_QUIET_LOUD = (3, 95)
"""Percentiles of the levels that count as quiet and as loud: a fluent speaker may pause for little of the time."""

_THRESHOLD_SHARE, _THRESHOLD_DB = 0.3, 6.0
"""Height of the threshold above the quiet level: this share of the distance to the loud level, at least so many dB."""

_SHORTEST_SPEECH = 3
"""Frames of the shortest sound that counts as speech; a click is shorter."""

_SHORTEST_PAUSE = 30
"""Frames of the shortest pause at which a recording may be cut; the closure of a stop consonant is shorter."""

_SHORTEST_SILENCE = 15
"""Frames of the shortest silence between two words that is not part of one."""

MOST_MARGIN_SECONDS = _SHORTEST_PAUSE / 200
"""Longest silence that is kept around speech: half of the shortest pause, which two stretches of speech share."""

LONGEST_SECONDS = 20.0
"""Longest window; LibriSpeech's training utterances last up to 25 s."""

OVERLAP_SECONDS = 2.0
"""Overlap of two windows where speech has no pause: a bidirectional model's text settles within 1 s of an edge."""


class Window(NamedTuple):
    """Stretch of a recording that the model takes as one utterance."""

    start: int
    """First sample."""
    stop: int
    """Sample after the last."""
    continues: bool
    """True if it overlaps the window before, because there was no pause to cut at."""


def levels(blocks: Iterable[Samples]) -> NDArray[np.float32]:
    """Return the level of every whole frame of 10 ms in dB, relative to one 16-bit step."""
    found, rest = [], np.empty(0, np.int16)
    for block in blocks:
        samples = np.concatenate([rest, block])
        whole = len(samples) // FRAME * FRAME
        power = np.square(samples[:whole].reshape(-1, FRAME).astype(np.float32)).mean(axis=1)
        found.append(10 * np.log10(power + 1))
        rest = samples[whole:]
    return np.concatenate([*found, np.empty(0, np.float32)])


def speech(level: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return whether each frame is speech, for its level in dB."""
    found = np.zeros(len(level), bool)
    for start in range(0, len(level), _NEIGHBOURHOOD):
        around = level[max(0, start - _NEIGHBOURHOOD) : start + 2 * _NEIGHBOURHOOD]
        quiet, loud = np.percentile(around, _QUIET_LOUD)
        threshold = quiet + max(_THRESHOLD_DB, _THRESHOLD_SHARE * (loud - quiet))
        own = slice(start, start + _NEIGHBOURHOOD)
        found[own] = level[own] > threshold
    return found


def stretches(is_speech: NDArray[np.bool_], margin: float) -> list[tuple[int, int]]:
    """Return the stretches of speech (first frame, end) that pauses separate, with `margin` seconds of silence."""
    joined, frames = _joined(is_speech, _SHORTEST_PAUSE), round(100 * margin)
    return [(max(0, start - frames), min(len(is_speech), stop + frames)) for start, stop in joined]


def sounds(is_speech: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Return the stretches of sound, in seconds, that are separated by the shortest silence between two words."""
    return [(start / 100, stop / 100) for start, stop in _joined(is_speech, _SHORTEST_SILENCE)]


def _joined(is_speech: NDArray[np.bool_], pause: int) -> list[tuple[int, int]]:
    """Return the stretches of speech (first frame, end) without their margins, separated by at least `pause` frames."""
    joined: list[tuple[int, int]] = []
    for start, stop in _runs(is_speech):
        if stop - start < _SHORTEST_SPEECH:
            continue
        if joined and start - joined[-1][1] < pause:
            start = joined.pop()[0]
        joined.append((start, stop))
    return joined


def _runs(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the start and the end of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    yield from zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)


def windows(spans: Sequence[tuple[int, int]], step: int) -> list[Window]:
    """Return windows of at most LONGEST_SECONDS: one for each of the `spans` (first frame, end), unless it is too long.

    A span that is too long is divided into windows that overlap by OVERLAP_SECONDS and start a multiple of `step`
    samples apart.
    """
    longest = round(LONGEST_SECONDS * SAMPLE_RATE)
    found: list[Window] = []
    for start, stop in ((FRAME * start, FRAME * stop) for start, stop in spans):
        found += _overlapping(start, stop, longest, step) if stop - start > longest else [Window(start, stop, False)]
    return found


def _overlapping(start: int, stop: int, longest: int, step: int) -> Iterator[Window]:
    """Yield overlapping windows from `start` to `stop`, of nearly the same length."""
    overlap = round(OVERLAP_SECONDS * SAMPLE_RATE)
    count = -(-(stop - start - overlap) // (longest - overlap - step))
    advance = -(-(stop - start - overlap) // (count * step)) * step
    for index in range(count):
        first = start + index * advance
        yield Window(first, min(stop, first + advance + overlap), index > 0)
