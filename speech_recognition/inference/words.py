"""Words of a CTC model's output, with their confidence and the times of their symbols' peaks.

A word's confidence is the probability of its spelling: the sum over all paths that spell it in the frames between its
two neighbours. It tells right from wrong words better than the symbols' own peaks do, because probability that is
spread over several paths of the right word still counts for it (benchmarks/word_times.py).

The peaks come later than the word is spoken; timing.py moves them to where the sound is.

Shapes: t output frames.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor

from speech_recognition import alphabet
from speech_recognition.model import conv_shapes
from speech_recognition.parameters import SAMPLE_RATE, Params

_SPACE = alphabet.encode(" ")[0]


@dataclass(frozen=True, kw_only=True)
class Word:
    """One recognised word."""

    word: str
    """Its letters, in capitals."""
    start: float
    """Seconds from the beginning of the recording to its beginning; its first peak, before `timing.placed`."""
    end: float
    """Seconds from the beginning of the recording to its end; its last peak, before `timing.placed`."""
    confidence: float
    """Probability of its spelling, 0 to 1."""


class Clock(NamedTuple):
    """Conversion of output frames to seconds."""

    frame: float
    """Seconds from one output frame to the next."""
    first: float
    """Seconds from the recording's beginning to the centre of the first output frame."""

    def seconds(self, frame: int) -> float:
        """Return the time of the centre of an output frame."""
        return self.first + frame * self.frame


def clock_of(params: Params) -> Clock:
    """Return the clock of a model with these parameters."""
    hop = params.features.hop_samples / SAMPLE_RATE
    first, stride = 0.0, 1  # in frames of the spectrogram
    for shape in conv_shapes(params.model):
        # Without padding, a convolution's first output lies half a kernel after its first input.
        first += stride * ((shape.kernel[1] - 1) / 2 - shape.padding[1])
        stride *= shape.stride[1]
    return Clock(stride * hop, first * hop)


def likeliest_path(log_probs: Tensor, text: str) -> list[int]:
    """Return the likeliest symbol id of each output frame among the paths that spell `text`, for log_probs [t, symbol].

    Raises ValueError if `text` needs more output frames than there are.
    """
    path: list[int] = log_probs.argmax(1).tolist()
    if _collapse(path) == alphabet.encode(text):  # as greedy decoding does
        return path
    if not text:  # a beam search finds none in some noise, and forced_align refuses an empty target
        return [alphabet.BLANK] * len(path)
    targets = torch.tensor([alphabet.encode(text)])
    try:
        aligned, _ = torchaudio.functional.forced_align(log_probs[None].cpu(), targets, blank=alphabet.BLANK)
    except RuntimeError:
        raise ValueError(f"{text!r} does not fit into {len(log_probs)} output frames") from None
    ids: list[int] = aligned[0].tolist()
    return ids


def read_words(log_probs: Tensor, path: Sequence[int], clock: Clock, offset: float = 0.0) -> list[Word]:
    """Return the words that `path` [t] spells, for log_probs [t, symbol] of a part that begins at `offset` seconds.

    Their times are those of their peaks.
    """
    reader = WordReader(clock._replace(first=clock.first + offset))
    return reader.read(log_probs, path) + reader.finish()


class WordReader:
    """Reader of the words of one recording, whose output may arrive in parts; holds the frames of two words at most."""

    def __init__(self, clock: Clock) -> None:
        """Begin before the first output frame, whose time `clock` states."""
        self._clock = clock
        self._log_probs: list[Tensor] = []
        self._path: list[int] = []
        self._first = 0
        """Number of the frame that `_path` begins with."""
        self._scanned = 0
        """Number of frames of `_path` that have been looked at."""
        self._word: list[int] = []
        """Frames, counted from `_first`, in which a symbol of the current word begins."""
        self._complete = False
        """True once a space has followed the current word."""

    def read(self, log_probs: Tensor, path: Sequence[int]) -> list[Word]:
        """Return the words that are complete with these frames: log_probs [t, symbol] and path [t]."""
        self._log_probs.append(log_probs.cpu())
        self._path += path
        words = []
        while self._scanned < len(self._path):
            frame, symbol = self._scanned, self._path[self._scanned]
            self._scanned += 1
            if symbol == alphabet.BLANK or (frame and symbol == self._path[frame - 1]):
                continue
            if symbol == _SPACE:
                self._complete = bool(self._word)
                continue
            if self._complete:
                words.append(self._take(frame))
                frame = self._scanned - 1
            self._word.append(frame)
        return words

    def finish(self) -> list[Word]:
        """Return the last word of the recording, or nothing."""
        return [self._take(len(self._path))] if self._word else []

    def _take(self, until: int) -> Word:
        """Return the current word, whose frames end before `until`, and forget the frames up to its last symbol."""
        path, log_probs = self._path, torch.cat(self._log_probs)
        last = self._word[-1]
        letters = alphabet.decode(path[frame] for frame in self._word)
        while last + 1 < until and path[last + 1] == path[last]:
            last += 1
        confidence = _probability(log_probs[:until], _collapse(path[:until]))
        start, end = (self._clock.seconds(self._first + frame) for frame in (self._word[0], last))
        self._path, self._log_probs = path[last + 1 :], [log_probs[last + 1 :]]
        self._first += last + 1
        self._scanned -= last + 1
        self._word, self._complete = [], False
        return Word(word=letters, start=start, end=end, confidence=round(confidence, 4))


def _collapse(path: Sequence[int]) -> list[int]:
    """Return the symbols that `path` spells: repeats once, without blanks."""
    previous = [alphabet.BLANK, *path[:-1]]
    return [one for one, before in zip(path, previous, strict=True) if one not in (before, alphabet.BLANK)]


def _probability(log_probs: Tensor, symbols: Sequence[int]) -> float:
    """Return the probability that the frames log_probs [t, symbol] spell `symbols`, over all paths."""
    loss = F.ctc_loss(
        log_probs.float()[:, None],
        torch.tensor([symbols]),
        torch.tensor([len(log_probs)]),
        torch.tensor([len(symbols)]),
        blank=alphabet.BLANK,
        reduction="none",
    )
    return min(1.0, math.exp(-loss.item()))
