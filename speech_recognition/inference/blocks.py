"""Recordings of any length, decoded block by block, so that memory does not grow with the length."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speech_recognition.corpus.recordings import check_recording, decoded, gain, to_16_bits
from speech_recognition.parameters import SAMPLE_RATE

Samples = NDArray[np.int16]
"""16 kHz mono 16-bit [samples]."""


class LongRecording:
    """A recording of any format, rate, number of channels and length; every reading decodes the file again.

    Raises InputError for a file that `check_recording` refuses; so do its methods, for faults that only decoding shows.
    """

    def __init__(self, path: Path) -> None:
        """Check the header of the file; no audio is read yet."""
        self._path, self._info = path, check_recording(path, whole=False)
        # 16-bit samples that are not resampled cannot exceed 16 bits.
        fits = self._info.samplerate == SAMPLE_RATE and self._info.subtype == "PCM_16"
        self._gain = 1.0 if fits else None

    @property
    def seconds(self) -> float:
        """Duration in seconds, as the header states it."""
        return float(self._info.frames / self._info.samplerate)

    def blocks(self) -> Iterator[Samples]:
        """Yield the samples that `read_any` would return, block by block. The first call may decode the file twice."""
        if self._gain is None:
            extremes = [(block.min(), block.max()) for block in self._decoded()]
            self._gain = gain(min(low for low, _ in extremes), max(high for _, high in extremes))
        for block in self._decoded():
            yield to_16_bits(block, self._gain)

    def _decoded(self) -> Iterator[NDArray[np.float64]]:
        # The resampler returns nothing for the first blocks, if they are short.
        return (block for block in decoded(self._path, self._info) if len(block))


def cut(blocks: Iterable[Samples], spans: Sequence[tuple[int, int]]) -> Iterator[Samples]:
    """Yield the samples of each span (first sample, end), which may overlap; neither starts nor ends may fall."""
    source, held, first = iter(blocks), np.empty(0, np.int16), 0
    for start, stop in spans:
        while first + len(held) < stop:
            held, first = held[max(0, start - first) :], first + min(len(held), max(0, start - first))
            held = np.concatenate([held, next(source)])
        held, first = held[start - first :], start
        yield held[: stop - start].copy()
