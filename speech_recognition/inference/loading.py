"""Loading of a trained model for inference, in the precision and on the device that were asked for."""

import dataclasses
from pathlib import Path
from typing import Literal

import torch

from speech_recognition.errors import InputError
from speech_recognition.inference.exported import kind_of
from speech_recognition.inference.onnx_model import load_onnx
from speech_recognition.inference.packed import has_bf16, pack
from speech_recognition.inference.quantized import Precision
from speech_recognition.inference.weights import int8_recognizer, read_weights
from speech_recognition.recognizer import AnyRecognizer, Recognizer
from speech_recognition.runs import checkpoint


def load(path: Path, device: torch.device, precision: Precision | None = None) -> AnyRecognizer:
    """Return the recognizer in a checkpoint or an exported file, in evaluation mode.

    It is on `device`; an ONNX file and int8 weights are computed on the CPU. Without `precision`, a checkpoint computes
    in that of its training, or in fp32 where `device` lacks it. Raises InputError, which names the file, if it is none
    of these, is damaged or was exported in a different precision, and as `pack` does.
    """
    kind = kind_of(path)
    if kind == "onnx":
        _check_precision(path, "fp32", precision)
        return load_onnx(path)
    if kind == "safetensors" and (weights := read_weights(path)).int8:
        _check_precision(path, "int8", precision)
        return int8_recognizer(weights, path)
    return recognizer_of(read_state(path), path, device, precision)


def _check_precision(path: Path, own: Precision, wanted: Precision | None) -> None:
    """Raise InputError if a precision is wanted that an exported file does not have."""
    if wanted not in (None, own):
        raise InputError(f"--precision {wanted}: {path} was exported in {own}; leave it out, or name the checkpoint")


def read_state(path: Path) -> checkpoint.TrainingState:
    """Return the state in a checkpoint, or one with the weights of a safetensors file in float32.

    Raises InputError, which names the file, if it is neither or damaged.
    """
    kind = kind_of(path)
    if kind == "checkpoint":
        return checkpoint.read(path)
    if kind == "safetensors" and not (weights := read_weights(path)).int8:
        return weights.state
    raise InputError(f"{path}: was exported, and holds no weights in fp32; name the checkpoint")


def recognizer_of(
    state: checkpoint.TrainingState, path: Path, device: torch.device, precision: Precision | None = None
) -> Recognizer:
    """Return the recognizer of a state read from `path`, as `load` does."""
    if precision == "int8" and device.type != "cpu":
        raise InputError(f"--precision int8: only CPUs have it, but the device is {device}; add --device cpu")
    model = dataclasses.replace(
        state.params.model, precision=_precision(state.params.model.precision, device, precision)
    )
    computed = dataclasses.replace(state, params=dataclasses.replace(state.params, model=model))
    # The parameters say what it was trained with, not how it computes.
    recognizer = dataclasses.replace(checkpoint.recognizer_of(computed, path, device), params=state.params)
    if device.type != "cpu":
        return recognizer
    return pack(recognizer, precision or ("bf16" if model.precision == "bf16" else "fp32"))


def precision_of(path: Path, recognizer: AnyRecognizer, wanted: Precision | None) -> Precision | Literal["tf32"]:
    """Return the precision of `recognizer`, which `load` returned for the file `path` and the precision `wanted`."""
    if wanted:
        return wanted
    kind = kind_of(path)
    if kind == "onnx":
        return "fp32"
    if kind == "safetensors" and read_weights(path).int8:
        return "int8"
    return _precision(recognizer.params.model.precision, recognizer.device, None)


def _precision(
    trained: Literal["auto", "fp32", "tf32", "bf16"], device: torch.device, wanted: Precision | None
) -> Literal["fp32", "tf32", "bf16"]:
    """Return the precision of the products that are not int8: that of the training where `device` has it."""
    assert trained != "auto", "a run decides its precision before it trains"
    if wanted:
        return "bf16" if wanted == "bf16" else "fp32"
    if device.type == "cpu" and not (trained == "bf16" and has_bf16()):
        return "fp32"
    return trained
