"""Export of a trained model: as an ONNX graph, or as weights in float32 or 8 bits."""

import dataclasses
from pathlib import Path

import torch

from speech_recognition import settings
from speech_recognition.errors import InputError
from speech_recognition.inference.loading import read_state
from speech_recognition.inference.onnx_model import write_onnx
from speech_recognition.inference.quantized import Precision
from speech_recognition.inference.weights import write_weights
from speech_recognition.runs import checkpoint


def check_format(path: Path, precision: Precision) -> None:
    """Raise InputError unless the end of the name `path` stands for a format that has the precision."""
    if path.suffix not in (".onnx", ".safetensors"):
        raise InputError(f"--output {path}: must end in .onnx or .safetensors")
    if path.suffix == ".onnx" and precision != "fp32":
        raise InputError(f"--precision {precision}: an ONNX file is in fp32; for int8, give --output FILE.safetensors")


def export(source: Path, output: Path, precision: Precision) -> None:
    """Write the model of `source`, a checkpoint or exported weights in float32, to `output`.

    Raises InputError as `check_format` does, for a source that cannot be read, and if a package is missing.
    """
    check_format(output, precision)
    state = read_state(source)
    if output.suffix == ".onnx":
        # A CPU has no tf32, in which the training may have computed.
        computed = settings.apply(state.params, ["model.precision=fp32"])
        recognizer = checkpoint.recognizer_of(dataclasses.replace(state, params=computed), source, torch.device("cpu"))
        write_onnx(output, state.params, recognizer.model)
    else:
        write_weights(output, state, int8=precision == "int8")
