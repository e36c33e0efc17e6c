"""Batches of waveforms and transcripts, padded.

Shapes: b utterances, s samples, u symbols.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from speech_recognition import alphabet
from speech_recognition.parameters import SAMPLE_RATE

Item = tuple[int, Tensor, Tensor]
"""Index in the manifest, waveform [s] and symbol ids [u] of an utterance."""


class Batch(NamedTuple):
    """Waveforms and transcripts of some utterances, zero-padded on the right."""

    waveforms: Tensor
    """[b, s], 16-bit integers"""
    lengths: Tensor
    """[b], in samples"""
    targets: Tensor
    """[b, u], ids of the alphabet"""
    target_lengths: Tensor
    """[b], in symbols"""
    indices: Tensor
    """[b], indices into the manifest"""

    @property
    def utterances(self) -> int:
        """Number of real utterances; 0 for the placeholder batch of a rank that has no work."""
        return int(self.lengths.count_nonzero())

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on `device`; copies from pinned memory run while the host continues."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


def nothing() -> Batch:
    """Return the placeholder batch of a rank that has no work: one row of length 0."""
    # The row has a second of samples, all of them padding: the model has to compute something on this rank too,
    # because all ranks exchange BatchNorm's sums.
    return Batch(
        waveforms=torch.zeros(1, SAMPLE_RATE, dtype=torch.int16),
        lengths=torch.zeros(1, dtype=torch.int64),
        targets=torch.zeros(1, 0, dtype=torch.int64),
        target_lengths=torch.zeros(1, dtype=torch.int64),
        indices=torch.full((1,), -1),
    )


def collate(items: Sequence[Item]) -> Batch:
    """Return one batch of `items`, each tensor padded to the longest of its kind."""
    indices, waveforms, targets = zip(*items, strict=True)
    return Batch(
        waveforms=pad_sequence(list(waveforms), batch_first=True),
        lengths=torch.tensor([len(waveform) for waveform in waveforms]),
        targets=pad_sequence(list(targets), batch_first=True),
        target_lengths=torch.tensor([len(target) for target in targets]),
        indices=torch.tensor(indices),
    )


def synthetic_batch(size: int, samples: int, symbols: int) -> Batch:
    """Return `size` utterances of noise, each `samples` long, which share one transcript of `symbols` symbols."""
    # A generator of its own: the run's random numbers stay as they are.
    generator = torch.Generator().manual_seed(0)
    # No symbol of this text equals its neighbour, so CTC needs no more output frames than there are symbols.
    text = torch.tensor(alphabet.encode(("WARM UP " * symbols)[:symbols]))
    return Batch(
        waveforms=torch.randint(-1000, 1000, (size, samples), generator=generator, dtype=torch.int16),
        lengths=torch.full((size,), samples),
        targets=text.expand(size, -1),
        target_lengths=torch.full((size,), len(text)),
        indices=torch.arange(size),
    )
