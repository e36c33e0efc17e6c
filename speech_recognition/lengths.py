"""Masks for padded tensors, and the shortest output that CTC can align with a transcript."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """Return a mask [batch, size] that is true before each of `lengths` [batch] and false on padding."""
    # Compared on the lengths' own device: `lengths.tolist()` would make the host wait for the GPU in every layer.
    return torch.arange(size, device=lengths.device) < lengths[:, None]


def ctc_frames(symbols: Sequence[object]) -> int:
    """Return the output frames of the shortest CTC path: one per symbol, and one blank between equal neighbours."""
    # CTC merges equal neighbours, so that BEE takes four output frames: B, E, blank, E.
    return len(symbols) + sum(one == other for one, other in itertools.pairwise(symbols))
