"""One training step: forward, CTC loss, backward, clip, update."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim

from speech_recognition import alphabet
from speech_recognition.batches import Batch
from speech_recognition.features import Features
from speech_recognition.model import DeepSpeech2


def ctc_loss(log_probs: Tensor, lengths: Tensor, targets: Tensor, target_lengths: Tensor) -> Tensor:
    """Mean over the batch of each utterance's CTC loss, in nats (Graves et al. 2006; the reference divides likewise).

    log_probs: [time, batch, symbol] in float32; targets: [batch, symbols]. Two
    axes of 64-bit targets keep CUDA off cuDNN's CTC, which ignores
    zero_infinity (pytorch issue 176910).
    """
    losses = F.ctc_loss(
        log_probs,
        targets,
        lengths,
        target_lengths,
        blank=alphabet.BLANK,
        reduction="none",
        zero_infinity=True,
    )
    return losses.mean()


def training_step(
    model: DeepSpeech2, features: Features, optimizer: optim.Optimizer, clip_norm: float, parts: Sequence[Batch]
) -> float:
    """Update the weights on a batch, given as parts whose gradients are added; returns its loss.

    Parts are moved to the model's device one after another. Raises FloatingPointError, the
    weights untouched, when the gradient is not finite.
    """
    count = sum(len(part.lengths) for part in parts)
    optimizer.zero_grad(set_to_none=True)
    total = torch.zeros((), device=features.window.device)
    for part in parts:
        batch = part.to(total.device)
        log_probs, lengths = model(*features(batch.waveforms, batch.lengths))
        loss = ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths) * (len(batch.lengths) / count)
        torch.autograd.backward(loss)
        total += loss.detach()
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"the gradient's norm is {norm.item()} at a loss of {total.item()}")
    optimizer.step()
    return total.item()
