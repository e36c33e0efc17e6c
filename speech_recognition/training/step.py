"""One training step: forward, CTC loss, backward, clip, update."""

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
    model: DeepSpeech2, features: Features, optimizer: optim.Optimizer, clip_norm: float, batch: Batch
) -> float:
    """Update the weights on one batch that is on their device; returns its loss.

    Raises FloatingPointError, the weights untouched, when the gradient is not finite.
    """
    log_probs, lengths = model(*features(batch.waveforms, batch.lengths))
    loss = ctc_loss(log_probs, lengths, batch.targets, batch.target_lengths)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"the gradient's norm is {norm.item()} at a loss of {loss.item()}")
    optimizer.step()
    return loss.item()
