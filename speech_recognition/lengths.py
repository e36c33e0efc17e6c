"""Lengths that travel with tensors: what is padding, and how long an utterance must be for its transcript."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """Mask [batch, size] that is true up to each length."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def ctc_frames(symbols: Sequence[object]) -> int:
    """Frames of the shortest CTC path: one for each symbol, and one for the blank between equal neighbours."""
    return len(symbols) + sum(one == other for one, other in itertools.pairwise(symbols))
