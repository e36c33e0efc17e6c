"""Batches without padding, for the CPU: padded, utterances of 3 to 12 s have 1.6 times as many frames.

For the convolutions, `Strips` lays the spectrograms end to end along time, with gaps that no kernel reaches across. For
the recurrent layers, `Rows` holds the output frames of all utterances as the rows of one matrix: first the first output
frame of each utterance, the longest first, then the second one of each that has one, as torch's PackedSequence does.
So the rows of an output frame lie side by side.

Shapes: b utterances, f frequency bins, t frames, n rows (output frames of all utterances together).
"""

from typing import Any, Protocol

import torch
from torch import Tensor, nn

from speech_recognition.lengths import length_mask


class Shape(Protocol):
    """Sizes of a convolution, each as (frequency, time), as model.ConvShape has them."""

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
        self._places = there.new_full(there.shape, len(self.frame), dtype=torch.int64)
        self._places[self.frame, self.utterance] = torch.arange(len(self.frame))

    def pad(self, x: Tensor, order: Tensor) -> Tensor:
        """Return rows `x` [n, d] as [t, b, d] with the utterances in `order` [b]; zero on padding, t at least 1."""
        places = self._places[:, order]
        if not len(places):
            places = places.new_zeros(1, len(order))
        padded = torch.cat([x, x.new_zeros(1, x.shape[1])]).index_select(0, places.flatten())
        return padded.view(*places.shape, x.shape[1])


class Strips:
    """Places of the utterances of a batch whose spectrograms lie end to end in two strips, before two convolutions.

    Two, because oneDNN divides the gradient of a convolution with few channels among threads by strips.
    """

    COUNT = 2

    def __init__(self, frames: Tensor, first: Shape, second: Shape) -> None:
        """Make the strips of utterances of `frames` [b], the longest first.

        first, second: the convolutions; the second has stride 1 in time.
        """
        lengths = [first.output(frames, 1).clamp(min=0)]
        lengths.append(second.output(lengths[0], 1).clamp(min=0))
        self.lengths = lengths[1]
        """[b], of the second convolution's output"""
        self._frames, self._lengths, self._stride = frames, lengths, first.stride[1]
        # Strips of about equal width: 0 1 1 0 0 1 1 0 ...
        self._strip = (torch.arange(len(frames)) + 1) // 2 % self.COUNT
        # The zeros that a convolution would pad an utterance with are those before the next utterance.
        widths = torch.maximum(-(-(frames + first.padding[1]) // self._stride), lengths[0] + second.padding[1])
        ends = (widths[:, None] * nn.functional.one_hot(self._strip, self.COUNT)).cumsum(0)
        self._width = int(ends.max()) * self._stride
        # In output frames, which are the same behind both convolutions.
        self._starts = ends.gather(1, self._strip[:, None])[:, 0] - widths

    def lay(self, spectrograms: Tensor, least: int) -> Tensor:
        """Return the spectrograms [b, f, t] as strips [strip, 1, f, t] of at least `least` frames, zero in the gaps."""
        strips = spectrograms.new_zeros(self.COUNT, 1, spectrograms.shape[1], max(self._width, least))
        places = zip(self._strip.tolist(), (self._stride * self._starts).tolist(), self._frames.tolist(), strict=True)
        for spectrogram, (strip, start, frames) in zip(spectrograms, places, strict=True):
            strips[strip, 0, :, start : start + frames] = spectrogram[:, :frames]
        return strips

    def mask(self, convolution: int, size: int) -> Tensor:
        """Return a mask [strip, 1, 1, size], false in the gaps of the output of convolution 0 or 1."""
        edges = torch.zeros(self.COUNT, size + 1, dtype=torch.int64)
        ends = self._starts + self._lengths[convolution]
        for places, step in ((self._starts, 1), (ends, -1)):
            # An utterance too short for an output frame has nothing to mark, and may begin beyond the end.
            edges.index_put_((self._strip, places.clamp(max=size)), torch.tensor(step), accumulate=True)
        return (edges.cumsum(1)[:, :size] > 0)[:, None, None]

    def rows(self, x: Tensor, rows: Rows) -> Tensor:
        """Return the rows [n, c * f] of the second convolution's output x [strip, c, f, t]."""
        frames = x.permute(0, 3, 1, 2).reshape(len(x) * x.shape[3], -1)  # [strip * t, c * f]
        starts = self._strip * x.shape[3] + self._starts
        return select(frames, starts[rows.utterance] + rows.frame)


def select(x: Tensor, index: Tensor) -> Tensor:
    """Return x[index], [n, d], for `x` [m, d] and `index` [n], of which no two are equal."""
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
