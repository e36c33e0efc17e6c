"""One training step: forward, CTC loss, backward, clip, update."""

import math
from collections.abc import Callable, Sequence
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

    log_probs: [t, b, symbol]; lengths: [b], in output frames; targets: [b, u], int64, on the device of log_probs;
    target_lengths: [b], in symbols. Both lengths are best on the host, where torch reads them.
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
    signal: int = 0
    """Highest number of a signal that a process held when its backward pass had been queued; 0 for none."""


def no_signal() -> int:
    """Return 0, the default of `held`."""
    return 0


def training_step(
    model: nn.Module,
    featurize: Featurize,
    optimizer: optim.Optimizer,
    clip_norm: float,
    parts: Sequence[Batch],
    count: int | None = None,
    held: Callable[[], int] = no_signal,
) -> Step:
    """Update the weights once, on a batch of `count` utterances over all processes (default: those of `parts`).

    model: what `data_parallel` returns. featurize: makes the spectrograms of a part, on the model's device. clip_norm:
    largest norm of the gradient of all weights together. parts: this process's share of the batch, on the host; their
    gradients are added. held: returns the number of the signal that this process holds.

    A GPU computes while the host queues its work. The host waits for it once a step, in `_read`: it must read nothing
    else from the device, and copy nothing to it that blocks.
    """
    count = count or sum(part.utterances for part in parts)
    # A loss that is not finite shows only after the forward pass, which has then spoilt BatchNorm's running averages.
    buffers = [buffer.clone() for buffer in model.buffers()]
    optimizer.zero_grad(set_to_none=True)
    total = next(model.parameters()).new_zeros(())
    for number, part in enumerate(parts, start=1):
        # Before the forward pass is queued, behind which the copy would wait.
        targets = part.targets.to(total.device, non_blocking=True)
        with parallel.adding_gradients(model, last=number == len(parts)):
            log_probs, lengths = model(*featurize(part))
            # Weighted so that the parts of all processes add up to the mean over the batch. A placeholder's row adds 0:
            # it has neither output frames nor symbols.
            loss = ctc_loss(log_probs, lengths, targets, part.target_lengths) * (len(lengths) / count)
            parallel.backward(loss)
        total += loss.detach()
    message = distributed.all_reduce(_message(total, held()))
    # After the sum over processes: all of them clip the same gradient, and skip the same steps.
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    loss_sum, with_norm, *signals = _read(torch.cat([message[:1], message[:1] + norm, message[1:]]))
    step = Step(loss_sum, math.isfinite(with_norm), int(max(signals)))
    if step.updated:
        optimizer.step()
    else:
        for buffer, before in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(before)
    return step


def _message(loss: Tensor, signal: int) -> Tensor:
    """Return what a process tells the others besides its gradients: [1 + processes], to be summed over all processes.

    First its share of the loss; then, at the place of its own, the number of the signal that it holds.
    """
    message = loss.new_zeros(1 + distributed.size())
    message[0] = loss
    message[1 + distributed.rank()].fill_(signal)  # a kernel's argument, where a tensor would be a copy that blocks
    return message


def _read(tensor: Tensor) -> list[float]:
    """Return a tensor's numbers; the host waits until the device has computed them."""
    numbers: list[float] = tensor.tolist()
    return numbers
