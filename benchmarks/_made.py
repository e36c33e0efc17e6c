"""Made-up utterances for benchmarks, with LibriSpeech's lengths (not a benchmark itself)."""

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from speech_recognition.batches import Item
from speech_recognition.parameters import SAMPLE_RATE

SYMBOLS_PER_SECOND = 14
"""Symbols of the made-up transcripts per second of audio."""


def librispeech_lengths(count: int) -> list[int]:
    """Return ascending lengths in samples, distributed as in LibriSpeech's train-*: two thirds are near 14 s."""
    draw = np.random.default_rng(1)
    long = draw.normal(14.4, 1.4, count)
    short = draw.uniform(0.83, 14, count)
    seconds = np.where(draw.random(count) < 0.66, long, short)
    seconds[: max(1, count // 2000)] = 29.7
    return sorted((np.clip(seconds, 0.83, 29.735) * SAMPLE_RATE).astype(int).tolist())


class Made(Dataset[Item]):
    """Dataset of noise utterances with the given lengths in samples, cut from one stretch of noise."""

    def __init__(self, lengths: Sequence[int]) -> None:
        """Make the noise that all utterances are cut from."""
        self._lengths = lengths
        draw = torch.Generator().manual_seed(1)
        self._noise = torch.randint(-3000, 3000, (max(lengths) + 1000,), dtype=torch.int16, generator=draw)

    def __getitem__(self, index: int) -> Item:
        """Return the utterance at `index`: its 16-bit samples [s] and the ids of its symbols [u]."""
        size = self._lengths[index]
        text = (torch.arange(size * SYMBOLS_PER_SECOND // SAMPLE_RATE) * 7 + index) % 28 + 1
        return index, self._noise[index % 1000 :][:size].clone(), text
