"""A recognizer: features, model and decoder as one thing, from waveforms to log-probabilities to text.

Training, evaluation, checkpoints and inference all build on it, so that none of them can pair a model with features
of different parameters.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from speech_recognition.batches import Batch
from speech_recognition.decoding.greedy import greedy
from speech_recognition.features import Features
from speech_recognition.model import DeepSpeech2, build_model, conv_shapes, output_frames
from speech_recognition.parameters import Params
from speech_recognition.runtime.devices import use_precision


class AnyRecognizer(Protocol):
    """Interface of every recognizer, whether torch or ONNX Runtime computes its model."""

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
        """Return log-probabilities [t, b, symbol] and their lengths [b] in output frames for a batch on any device.

        The lengths are on the host.
        """
        # Waveforms go to the device, not spectrograms: for `reference`, a second of audio is 32 kB as 16-bit samples
        # and 64 kB as 100 frames of 161 bins.
        waveforms = batch.waveforms.to(self.device, non_blocking=True)
        log_probs, lengths = self.model(*self.features(waveforms, batch.lengths.cpu()))
        return log_probs, lengths

    @torch.inference_mode()
    def transcribe(self, batch: Batch) -> list[str]:
        """Return the greedy text of each utterance of a batch on any device. Expects evaluation mode."""
        return greedy(*self.log_probs(batch))

    def output_lengths(self, samples: Tensor) -> Tensor:
        """Return the numbers of output frames [b] for lengths `samples` [b]."""
        return self.model.output_lengths(self.features.frames(samples))


def output_lengths(params: Params, samples: Tensor, tempo: Tensor | None = None) -> Tensor:
    """Return the numbers of output frames [b] for lengths `samples` [b], spoken `tempo` [b] times as fast.

    They are those of a recognizer with the parameters `params`; below 1 for lengths too short for a frame.
    """
    return output_frames(conv_shapes(params.model), Features(params.features).frames(samples, tempo))


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

    Raises ValueError as `check_weights` does, before memory is taken for the model, and InputError as `new_recognizer`.
    """
    check_weights(params, weights)
    use_precision(params.model.precision, device)
    with torch.device("meta"):
        model = DeepSpeech2(params.model, params.features.bins)
    # The tensors become the model's own: no random weights are drawn before, and none are held twice.
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, assign=True)
    model.arrange()
    return Recognizer(params=params, features=Features(params.features).to(device), model=model.to(device).eval())


def check_weights(params: Params, weights: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless the names and shapes of `weights` are those of a model with these parameters.

    No memory is taken for the model: a small forged file can claim one that fits in no memory.
    """
    with torch.device("meta"):  # shapes without memory
        wanted = DeepSpeech2(params.model, params.features.bins).state_dict()
    if _shapes(wanted) != _shapes(weights):
        raise ValueError("the weights do not fit the parameters")


def _shapes(weights: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    """Return the shape of each tensor by its name."""
    return {name: tensor.shape for name, tensor in weights.items()}
