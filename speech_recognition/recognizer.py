"""A recognizer: features, model and decoder as one thing, from waveforms to log-probabilities to text.

Training, evaluation, checkpoints and inference all build on it, so that none of them can pair a model with features
of different parameters.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from params import Params
from speech_recognition.batches import Batch
from speech_recognition.decoding.greedy import greedy
from speech_recognition.features import Features
from speech_recognition.model import DeepSpeech2, build_model
from speech_recognition.runtime.devices import use_precision


class AnyRecognizer(Protocol):
    """What evaluation and inference need of a recognizer, whether torch or a different engine computes its model."""

    @property
    def params(self) -> Params:
        """Parameters of the run that trained the model."""

    @property
    def features(self) -> Features:
        """Features, from waveforms to spectrograms."""

    @property
    def device(self) -> torch.device:
        """Device that computes."""

    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return log-probabilities [t, b, symbol] and their lengths [b] in output frames for a batch on any device."""

    def transcribe(self, batch: Batch) -> list[str]:
        """Return the greedy text of each utterance of a batch on any device."""

    def output_lengths(self, samples: Tensor) -> Tensor:
        """Return the number of output frames [b] for utterances of `samples` [b]."""


@dataclass(frozen=True, kw_only=True)
class Recognizer:
    """A model with the features that it was made for, on one device."""

    params: Params
    """Parameters of the run that trained the model."""
    features: Features
    """Features, from waveforms to spectrograms."""
    model: DeepSpeech2
    """Model, from spectrograms to log-probabilities."""

    @property
    def device(self) -> torch.device:
        """Device of the model and of the features."""
        return self.features.window.device

    def log_probs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return log-probabilities [t, b, symbol] and their lengths [b] in output frames for a batch on any device."""
        batch = batch.to(self.device)
        log_probs, lengths = self.model(*self.features(batch.waveforms, batch.lengths))
        return log_probs, lengths

    @torch.inference_mode()
    def transcribe(self, batch: Batch) -> list[str]:
        """Return the greedy text of each utterance of a batch on any device. Expects evaluation mode."""
        return greedy(*self.log_probs(batch))

    def output_lengths(self, samples: Tensor, tempo: Tensor | None = None) -> Tensor:
        """Return the number of output frames [b] for utterances of `samples` [b], spoken at the factors `tempo` [b]."""
        return self.model.output_lengths(self.features.frames(samples, tempo))


def new_recognizer(params: Params, seed: int, device: torch.device) -> Recognizer:
    """Return a recognizer with untrained weights, drawn on the CPU from `seed` alone: the same on every device.

    Raises InputError if the device does not have the precision.
    """
    use_precision(params.model.precision, device)
    features = Features(params.features).to(device)
    model = build_model(params.model, params.features.bins, seed).to(device)
    return Recognizer(params=params, features=features, model=model)


def load_recognizer(params: Params, weights: dict[str, Tensor], device: torch.device) -> Recognizer:
    """Return a recognizer with the given weights, in evaluation mode. On a CPU it shares their memory.

    Raises ValueError if the weights are not those of a model with these parameters, before memory is taken for one:
    a small forged file can claim a model that fits in no memory. Raises InputError as `new_recognizer` does.
    """
    with torch.device("meta"):  # shapes without memory
        model = DeepSpeech2(params.model, params.features.bins)
    if _shapes(model.state_dict()) != _shapes(weights):
        raise ValueError("the weights do not fit the parameters")
    use_precision(params.model.precision, device)
    # The tensors become the model's own: no random weights are drawn first, and none are held twice.
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, assign=True)
    model.arrange()
    return Recognizer(params=params, features=Features(params.features).to(device), model=model.to(device).eval())


def _shapes(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    """Return the shape of each tensor by its name."""
    return {name: tensor.shape for name, tensor in weights.items()}
