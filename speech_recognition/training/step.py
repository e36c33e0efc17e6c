"""One training step: forward, CTC loss, backward, clip, update."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from speech_recognition import alphabet
from speech_recognition.augment import Featurize
from speech_recognition.batches import Batch
from speech_recognition.runtime import distributed
from speech_recognition.training import parallel


def ctc_loss(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Return the mean CTC loss of the batch's utterances, in nats (Graves et al. 2006; the reference divides likewise).

    log_probs: [t, b, symbol]; lengths: [b], in output frames; targets: [b, u], int64; target_lengths: [b], in symbols.
    """
    # In float64: sums of logarithms in float32 leave the gradient an error of 7e-6, for 24 ms instead of 35 to 42
    # (docs/LOG.md). Targets of 64 bits with two axes keep CUDA off cuDNN's CTC, which ignores zero_infinity
    # (pytorch issue 176910).
    losses = F.ctc_loss(
        log_probs.double(),
        targets,
        lengths,
        target_lengths,
        blank=alphabet.BLANK,
        reduction="none",
        zero_infinity=True,
    )
    return losses.mean()


class Step(NamedTuple):
    """Result of a step."""

    loss: float
    """Mean CTC loss of the batch's utterances, in nats."""
    updated: bool
    """False if the loss or the gradient was not finite; weights and BatchNorm's statistics are then as before."""


def training_step(
    model: nn.Module,
    featurize: Featurize,
    optimizer: optim.Optimizer,
    clip_norm: float,
    parts: Sequence[Batch],
    count: int | None = None,
) -> Step:
    """Update the weights once, on a batch of `count` utterances over all processes (default: those of `parts`).

    model: what `data_parallel` returns. featurize: makes the spectrograms of a part, on the model's device. clip_norm:
    largest norm of the gradient of all weights together. parts: this process's share of the batch, on the host; their
    gradients are added.
    """
    count = count or sum(part.utterances for part in parts)
    # A loss that is not finite shows only after the forward pass, which has then spoilt BatchNorm's running averages.
    buffers = [buffer.clone() for buffer in model.buffers()]
    optimizer.zero_grad(set_to_none=True)
    total = next(model.parameters()).new_zeros(())
    for number, part in enumerate(parts, start=1):
        with parallel.adding_gradients(model, last=number == len(parts)):
            log_probs, lengths = model(*featurize(part))
            targets, target_lengths = part.targets.to(total.device), part.target_lengths.to(total.device)
            # Weighted so that the parts of all processes add up to the mean over the batch. A placeholder's row adds 0:
            # it has neither output frames nor symbols.
            loss = ctc_loss(log_probs, lengths, targets, target_lengths) * (len(lengths) / count)
            parallel.backward(loss)
        total += loss.detach()
    distributed.all_reduce(total)
    # After the sum over processes: all of them clip the same gradient, and skip the same steps.
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    if not torch.isfinite(norm + total):
        for buffer, before in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(before)
        return Step(total.item(), False)
    optimizer.step()
    return Step(total.item(), True)
