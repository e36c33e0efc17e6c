"""Writer of the files that Python 2.7 wrote with torch 0.4: its pickles by its own rules, then its storages."""

import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

import torch
from torch import Tensor

MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001


class Python2Pickler(pickle._Pickler):  # type: ignore[misc,name-defined]
    """Pickler of Python 2.7 at protocol 2, with tensors as torch 0.4 saved them."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file, protocol=2)
        self.storages: dict[str, Tensor] = {}

    def save_text(self, text: str) -> None:
        """Python 2's texts are bytes."""
        raw = text.encode("latin1")
        short = len(raw) < 256
        self.write(b"U" + bytes([len(raw)]) + raw if short else b"T" + struct.pack("<i", len(raw)) + raw)
        self.memoize(text)

    def save_number(self, number: int) -> None:
        """Python 2's int has 64 bits; beyond 31 of them, its pickle is a line of digits."""
        if -(2**31) <= number < 2**31 or not -(2**63) <= number < 2**63:
            self.save_long(number)
        else:
            self.write(b"I" + repr(number).encode() + b"\n")

    dispatch[str], dispatch[int] = save_text, save_number

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            place = (Storage(value), value.storage_offset(), tuple(value.shape), value.stride(), False, OrderedDict())
            return torch._utils._rebuild_tensor_v2, place
        if isinstance(value, OrderedDict):
            return OrderedDict, ([[name, each] for name, each in value.items()],), vars(value) or None
        return NotImplemented

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, Storage):
            return None
        storage = value.tensor.untyped_storage()
        key = str(94_000_000_000_000 + storage._cdata % 2**40)
        whole = torch.empty(0, dtype=value.tensor.dtype).set_(storage)  # type: ignore[call-overload]
        self.storages[key] = whole
        kind = {torch.float32: torch.FloatStorage, torch.int64: torch.LongStorage}[value.tensor.dtype]
        return ("storage", kind, key, "cuda:0", whole.numel(), None)


class Storage:
    """Storage of a tensor, which a pickle names instead of holding it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def save(path: Path, content: Any, pickler: Callable[[BinaryIO], Any] = Python2Pickler) -> None:
    """Write `content` as torch.save of torch 0.4 did."""
    with path.open("wb") as file:
        sizes = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
        for value in (MAGIC, VERSION, sizes):
            pickler(file).dump(value)
        last = pickler(file)
        last.dump(content)
        keys = sorted(last.storages)
        pickler(file).dump(keys)
        for key in keys:
            whole = last.storages[key]
            file.write(struct.pack("<q", whole.numel()) + whole.numpy().tobytes())


def published_weights(units: int = 8, layers: int = 2, bias: bool = True) -> OrderedDict[str, Tensor]:
    """Random weights by the names of the model of 2018, with sizes of its convolutions."""
    draw = torch.Generator().manual_seed(1)
    inputs = [672, *[units] * (layers - 1)]
    shapes = {"conv.0.weight": [32, 1, 41, 11], "conv.0.bias": [32], "conv.3.weight": [32, 32, 21, 11]}
    shapes |= {"conv.3.bias": [32], "fc.0.module.1.weight": [29, units]}
    for norm, size in (("conv.1", 32), ("conv.4", 32), ("fc.0.module.0", units)):
        shapes |= {f"{norm}.{name}": [size] for name in ("weight", "bias", "running_mean", "running_var")}
    for index, size in enumerate(inputs):
        start = f"rnns.{index}.rnn."
        shapes |= {f"{start}weight_ih_l0": [3 * units, size], f"{start}weight_hh_l0": [3 * units, units]}
        shapes |= {f"{start}bias_{side}_l0": [3 * units] for side in ("ih", "hh") if bias}
    weights = OrderedDict((name, torch.rand(shape, generator=draw)) for name, shape in shapes.items())
    weights._metadata = OrderedDict([("", OrderedDict(version=1))])  # type: ignore[attr-defined]
    return weights


def published(optimizer: bool = True, **changes: Any) -> dict[str, Any]:
    """The content of a checkpoint as DeepSpeech.serialize of 2018 made it, with `changes`."""
    weights = published_weights()
    content: dict[str, Any] = {
        "version": "0.0.1",
        "hidden_size": 8,
        "hidden_layers": 2,
        "rnn_type": "gru",
        "audio_conf": {"sample_rate": 16000, "window_size": 0.02, "window_stride": 0.01, "window": "hamming"},
        "labels": "_'ABCDEFGHIJKLMNOPQRSTUVWXYZ ",
        "state_dict": weights,
    }
    if optimizer:
        moments = {140_000_000_000_000 + i: {"momentum_buffer": each + 1} for i, each in enumerate(weights.values())}
        group = {"lr": 1e-4, "momentum": 0.9, "nesterov": True, "params": [*moments]}
        content |= {"optim_dict": {"state": moments, "param_groups": [group]}, "epoch": 20, "iteration": None}
        content |= {"loss_results": torch.rand(20), "wer_results": torch.rand(20), "avg_loss": 1.5}
    return content | changes
