"""One training step: forward, CTC loss, backward, clip, update."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from speech_recognition import alphabet
from speech_recognition.augment import Featurize
from speech_recognition.batches import Batch
from speech_recognition.model import DeepSpeech2
from speech_recognition.runtime import distributed


def ctc_loss(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Return the mean CTC loss of the batch's utterances, in nats (Graves et al. 2006; the reference divides likewise).

    log_probs: [time, batch, symbol]; targets: [batch, symbols]. Computed in float64: with losses of a hundred
    nats, sums of logarithms in float32 leave the gradient an error of 1e-5. Two axes of 64-bit targets keep
    CUDA off cuDNN's CTC, which ignores zero_infinity (pytorch issue 176910).
    """
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
    """Mean over the batch, in nats."""
    updated: bool
    """False if the loss or the gradient was not finite: weights and statistics are as before the step."""


def training_step(
    model: DeepSpeech2,
    featurize: Featurize,
    optimizer: optim.Optimizer,
    clip_norm: float,
    parts: Sequence[Batch],
    count: int | None = None,
) -> Step:
    """Update the weights on a batch of `count` utterances (default: those of `parts`).

    Each process passes its share of the batch, in parts on the host whose gradients are added.
    `featurize` makes the spectrograms of one part after another, on the model's device.
    """
    count = count or sum(part.utterances for part in parts)
    buffers = [buffer.clone() for buffer in model.buffers()]
    optimizer.zero_grad(set_to_none=True)
    total = torch.zeros_like(model.linear.weight[0, 0])
    for part in parts:
        log_probs, lengths = model(*featurize(part))
        targets, target_lengths = part.targets.to(total.device), part.target_lengths.to(total.device)
        loss = ctc_loss(log_probs, lengths, targets, target_lengths) * (len(lengths) / count)
        torch.autograd.backward(loss)
        total += loss.detach()
    _add_over_processes([parameter.grad for parameter in model.parameters() if parameter.grad is not None], total)
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    if not torch.isfinite(norm + total):
        for buffer, before in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(before)
        return Step(total.item(), False)
    optimizer.step()
    return Step(total.item(), True)


def _add_over_processes(gradients: Sequence[Tensor], loss: Tensor) -> None:
    """Sum gradients and loss over all processes, in place, in one message."""
    if distributed.size() == 1:
        return
    tensors = [*gradients, loss]
    flat, end = distributed.all_reduce(torch.cat([tensor.reshape(-1) for tensor in tensors])), 0
    for tensor in tensors:
        begin, end = end, end + tensor.numel()
        tensor.copy_(flat[begin:end].view_as(tensor))
