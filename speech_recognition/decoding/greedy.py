"""Greedy CTC decoding: the text of the likeliest path, without a language model."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from speech_recognition import alphabet
from speech_recognition.lengths import length_mask

Decode: TypeAlias = Callable[[Tensor, Tensor], list[str]]
"""Function from log-probabilities [t, b, symbol] and lengths [b] to the text of each utterance."""


def greedy(log_probs: Tensor, lengths: Tensor) -> list[str]:
    """Return each utterance's text: the likeliest symbol of every output frame, repeats collapsed, blanks removed.

    log_probs: [t, b, symbol]; lengths: [b], in output frames. Graves et al. 2006, "Connectionist Temporal
    Classification", section 3.2 (best path decoding).
    """
    path = log_probs.argmax(-1).T  # [b, t]
    # Only the first frame of a run of equal symbols counts. A blank between two equal symbols separates two runs, so
    # that "LL" can be spelt.
    previous = torch.nn.functional.pad(path[:, :-1], (1, 0), value=alphabet.BLANK)
    before_the_end = length_mask(lengths.to(path.device, non_blocking=True), path.shape[1])
    spoken = (path != previous) & (path != alphabet.BLANK) & before_the_end
    # To the host as a batch: one wait for the device instead of one for each utterance.
    return [alphabet.decode(row[keep].tolist()) for row, keep in zip(path.cpu(), spoken.cpu(), strict=True)]
