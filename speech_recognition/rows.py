"""Batches without padding, for the CPU: utterances of 3 to 12 s take 1.6 times their frames where they are padded.

For the convolutions, `Strip` lays the spectrograms end to end along time, with gaps that no kernel reaches across. For
the recurrent layers, `Rows` holds the output frames of all utterances as the rows of one matrix: first the first output
frame of each utterance, the longest first, then the second one of each that has one, as torch's PackedSequence does.
So the rows of an output frame lie side by side.

Shapes: b utterances, f frequency bins, t frames, n rows (output frames of all utterances together).
"""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from speech_recognition.lengths import length_mask


class Shape(Protocol):
    """Sizes of a convolution, each as (frequency, time); model.ConvShape."""

    @property
    def stride(self) -> tuple[int, int]:
        """Distance between two places of the kernel."""

    @property
    def padding(self) -> tuple[int, int]:
        """Zeros added at each end of an axis."""

    def output(self, size: Tensor, axis: int) -> Tensor:
        """Return the output's size for an input of `size` along `axis`."""


class Rows:
    """Order of the output frames of a batch whose utterances are sorted by length, the longest first."""

    def __init__(self, lengths: Tensor) -> None:
        """Make the rows of utterances with `lengths` [b] in output frames."""
        there = length_mask(lengths, int(lengths.max())).T  # [t, b]
        self.frame, self.utterance = there.nonzero().unbind(1)
        self.active: list[int] = there.sum(1).tolist()
        """number of utterances that reach each output frame"""
        first = torch.tensor([0, *self.active]).cumsum(0)  # first row of each output frame
        self.reversed = first[lengths[self.utterance] - 1 - self.frame] + self.utterance
        """[n], row of the output frame that is as far from its utterance's end as this one from its beginning"""
        self._places = there.new_full(there.shape, len(self.frame), dtype=torch.int64)
        self._places[self.frame, self.utterance] = torch.arange(len(self.frame))

    def reverse(self, x: Tensor) -> Tensor:
        """Return rows `x` [n, d] with each utterance's output frames in the opposite order."""
        return select(x, self.reversed)

    def pad(self, x: Tensor, order: Tensor) -> Tensor:
        """Return rows `x` [n, d] as [t, b, d] with the utterances in `order` [b]; zero on padding, t at least 1."""
        places = self._places[:, order]
        if not len(places):
            places = places.new_zeros(1, len(order))
        padded = torch.cat([x, x.new_zeros(1, x.shape[1])]).index_select(0, places.flatten())
        return padded.view(*places.shape, x.shape[1])


class Strip:
    """Place of each utterance where the spectrograms of a batch lie end to end, before two convolutions."""

    def __init__(self, frames: Tensor, first: Shape, second: Shape) -> None:
        """Make the strip of utterances of `frames` [b] for two convolutions, the second with stride 1 in time."""
        lengths = [first.output(frames, 1).clamp(min=0)]
        lengths.append(second.output(lengths[0], 1).clamp(min=0))
        stride = first.stride[1]
        # The zeros that a convolution would pad an utterance with, and that the next utterance shares.
        widths = torch.maximum(-(-(frames + first.padding[1]) // stride), lengths[0] + second.padding[1])
        starts = widths.cumsum(0) - widths
        self.lengths = lengths[1]
        """[b], of the second convolution's output"""
        self.width = int(widths.sum()) * stride
        """frames of the strip"""
        self._frames, self._starts, self._stride, self._lengths = frames.tolist(), starts, stride, lengths

    def lay(self, spectrograms: Tensor, least: int) -> Tensor:
        """Return the spectrograms [b, f, t] as a strip [1, f, t] of at least `least` frames, zero in the gaps."""
        strip = spectrograms.new_zeros(1, spectrograms.shape[1], max(self.width, least))
        starts = (self._stride * self._starts).tolist()
        for spectrogram, start, frames in zip(spectrograms, starts, self._frames, strict=True):
            strip[0, :, start : start + frames] = spectrogram[:, :frames]
        return strip

    def mask(self, convolution: int, size: int) -> Tensor:
        """Return a mask [1, 1, 1, size], false in the gaps of the output of the first (0) or second (1) convolution."""
        edges = torch.zeros(size + 1, dtype=torch.int64)
        ends = self._starts + self._lengths[convolution]
        edges.index_add_(0, self._starts, torch.ones_like(ends)).index_add_(0, ends, -torch.ones_like(ends))
        return (edges.cumsum(0)[:size] > 0)[None, None, None]

    def rows(self, x: Tensor, rows: Rows) -> Tensor:
        """Return the rows [n, d] of the second convolution's output `x` [t, d]."""
        return select(x, self._starts[rows.utterance] + rows.frame)


def select(x: Tensor, index: Tensor) -> Tensor:
    """Return the rows `index` [n], of which no two are equal, of `x` [m, d]: [n, d]."""
    y: Tensor = _Select.apply(x, index)  # type: ignore[no-untyped-call]
    return y


class _Select(torch.autograd.Function):
    """Selection of different rows. Its gradient is a copy, where torch's own adds row to row."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, index: Tensor) -> Tensor:
        """Return the rows `index` of `x`."""
        ctx.rows = len(x)
        ctx.save_for_backward(index)
        return x.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of `x`, zero in rows that were not selected."""
        (index,) = ctx.saved_tensors
        return dy.new_zeros(ctx.rows, *dy.shape[1:]).index_copy_(0, index, dy), None
