"""Weights as a safetensors file: in float32, or with recurrent weights in 8 bits.

An int8 file is a quarter of the size, and what `--precision int8` computes at every start is in it. Each recurrent
weight is two tensors, `<name>.values` and `<name>.scales` (quantized.py); all other tensors are in float32.
"""

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from speech_recognition.errors import InputError
from speech_recognition.features import Features
from speech_recognition.files import atomic_write
from speech_recognition.inference.exported import describe, params_of
from speech_recognition.inference.packages import check_installed
from speech_recognition.inference.packed import PackedRecognizer, check_machine
from speech_recognition.inference.quantized import Int8Weight, int8_gru, quantize
from speech_recognition.model import DeepSpeech2, Recurrent
from speech_recognition.parameters import Params
from speech_recognition.recognizer import check_weights
from speech_recognition.runs.checkpoint import TrainingState, digest

_RECURRENT = re.compile(r"rnn\.\d+\.(?:forwards|backwards)\.weight_[ih]h_l0")
"""Names of the weights that an int8 file holds in 8 bits."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Content of a file."""

    params: Params
    """Parameters of the run that trained the model."""
    tensors: dict[str, Tensor]
    """Tensors by name."""

    @property
    def int8(self) -> bool:
        """True if recurrent weights are in 8 bits."""
        return any(name.endswith(".values") for name in self.tensors)

    @property
    def state(self) -> TrainingState:
        """State with these weights, which must be in float32."""
        return TrainingState.of_weights(self.params, self.tensors)


def write_weights(path: Path, state: TrainingState, *, int8: bool) -> None:
    """Write the weights and the parameters of a state. Raises InputError if the package safetensors is missing."""
    check_installed("safetensors", f"{path}")
    from safetensors.torch import save

    if int8 and state.params.model.rnn_type != "gru":
        raise InputError(f"--precision int8: only GRUs have it, not model.rnn_type={state.params.model.rnn_type}")
    tensors = _in_8_bits(state.model) if int8 else state.model
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = describe(state.params)
    # Not save_file: it does not raise OSError, and it makes files that only their owner can read.
    content = save(tensors, metadata | {"digest": _digest(metadata, tensors)})
    with atomic_write(path) as partial:
        partial.write_bytes(content)


def _digest(metadata: dict[str, str], tensors: dict[str, Tensor]) -> str:
    """Return the digest of a file's content, whose order the format does not keep."""
    return digest([dict(sorted(each.items())) for each in (metadata, tensors)])


def _in_8_bits(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with recurrent ones in 8 bits."""
    tensors = {}
    for name, tensor in weights.items():
        if _RECURRENT.fullmatch(name):
            tensors[f"{name}.values"], tensors[f"{name}.scales"] = quantize(tensor)
        else:
            tensors[name] = tensor
    return tensors


def read_weights(path: Path) -> Weights:
    """Return the content of a file. Raises InputError, which names the file, if it is damaged or foreign."""
    check_installed("safetensors", f"{path}")
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception:  # SafetensorError and others, depending on the damage
        raise InputError(f"{path}: no safetensors file, or damaged; export it again or name another") from None
    params = params_of(path, metadata)
    if metadata.pop("digest", "") != _digest(metadata, tensors):
        raise InputError(f"{path}: damaged; export it again or copy it again")
    return Weights(params=params, tensors=tensors)


def int8_recognizer(weights: Weights, path: Path) -> PackedRecognizer:
    """Return the recognizer of the int8 file `path`, on the CPU.

    Raises InputError if the weights do not fit the parameters, or if the machine lacks int8.
    """
    check_machine("int8")
    tensors, params = weights.tensors, weights.params
    try:
        check_weights(
            params, {name.removesuffix(".values"): each for name, each in tensors.items() if ".scales" not in name}
        )
        model = _int8_model(params, tensors)
    except (LookupError, RuntimeError, ValueError):  # a forged file may lack tensors, or have some of a different type
        raise InputError(f"{path}: its weights do not fit its parameters; export it again") from None
    return PackedRecognizer(params=params, features=Features(params.features), model=model)


def _int8_model(params: Params, tensors: dict[str, Tensor]) -> DeepSpeech2:
    """Return the model of an int8 file's tensors, in evaluation mode."""
    sizes = dataclasses.replace(params.model, precision="fp32")  # of what is not in 8 bits
    with torch.device("meta"):  # without memory for recurrent weights in float32, which nobody needs
        model = DeepSpeech2(sizes, params.features.bins)
    for index, layer in enumerate(model.rnn):
        assert isinstance(layer, Recurrent)
        for direction, part in [*layer.named_children()]:
            if isinstance(part, nn.GRU):
                layer.register_module(direction, _int8_direction(tensors, f"rnn.{index}.{direction}."))
    model.load_state_dict({name: tensor for name, tensor in tensors.items() if "_l0" not in name}, assign=True)
    return model.eval().requires_grad_(False)


def _int8_direction(tensors: dict[str, Tensor], name: str) -> nn.Module:
    """Return one direction of a layer, whose tensors' names start with `name`."""
    parts = ("values", "scales")
    inputs, state = (
        Int8Weight(*(tensors[f"{name}weight_{side}_l0.{part}"] for part in parts)) for side in ("ih", "hh")
    )
    return int8_gru(inputs, state, tensors[f"{name}bias_ih_l0"], tensors[f"{name}bias_hh_l0"])
