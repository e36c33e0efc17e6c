"""Loading of a trained model for inference, in the precision and on the device that were asked for."""

import dataclasses
from pathlib import Path
from typing import Literal

import torch

from speech_recognition.errors import InputError
from speech_recognition.inference.packed import has_bf16, pack
from speech_recognition.inference.quantized import Precision
from speech_recognition.recognizer import AnyRecognizer, Recognizer
from speech_recognition.runs import checkpoint


def load(path: Path, device: torch.device, precision: Precision | None = None) -> AnyRecognizer:
    """Return the recognizer in a checkpoint on `device`, in evaluation mode.

    Without `precision` it computes in that of its training, or in fp32 where `device` lacks it. Raises InputError,
    which names the file, if it is no checkpoint or is damaged, and as `pack` does.
    """
    return recognizer_of(checkpoint.read(path), path, device, precision)


def recognizer_of(
    state: checkpoint.TrainingState, path: Path, device: torch.device, precision: Precision | None = None
) -> Recognizer:
    """Return the recognizer of a state read from `path`, as `load` does."""
    if precision == "int8" and device.type != "cpu":
        raise InputError(f"--precision int8: only CPUs have it, but the device is {device}; add --device cpu")
    model = dataclasses.replace(state.params.model, precision=_precision(state, device, precision))
    computed = dataclasses.replace(state, params=dataclasses.replace(state.params, model=model))
    # The parameters say what it was trained with, not how it computes.
    recognizer = dataclasses.replace(checkpoint.recognizer_of(computed, path, device), params=state.params)
    if device.type != "cpu":
        return recognizer
    return pack(recognizer, precision or ("bf16" if model.precision == "bf16" else "fp32"))


def _precision(
    state: checkpoint.TrainingState, device: torch.device, wanted: Precision | None
) -> Literal["fp32", "tf32", "bf16"]:
    """Return the precision of the products that are not int8: that of the training where `device` has it."""
    trained = state.params.model.precision
    if wanted:
        return "bf16" if wanted == "bf16" else "fp32"
    if device.type == "cpu" and not (trained == "bf16" and has_bf16()):
        return "fp32"
    return trained
