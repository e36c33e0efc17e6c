"""The checkpoint that was published with the benchmark of 2018, converted to one of this program.

Python 2.7 wrote it with torch 0.4. In spite of its name, a `.pth.tar` is no tar archive. It holds five pickles (a magic
number, a version, the writer's sizes of numbers, the content, the keys of the storages), then for each key the number
of values in 8 bytes and the values.

A pickle can call any function of any module, so this one may name only what `_Unpickler` knows. torch's own safe reader
refuses the file if it holds the optimizer: Python 2 wrote numbers beyond 32 bits in a way that torch does not read.
"""

import math
import os
import pickle
import pickletools
import re
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from torch import Tensor

import params
from speech_recognition import settings
from speech_recognition.alphabet import SYMBOLS
from speech_recognition.errors import InputError, one_line
from speech_recognition.files import check_file, open_regular
from speech_recognition.parameters import SAMPLE_RATE, Params
from speech_recognition.recognizer import check_weights
from speech_recognition.runs.checkpoint import TrainingState

_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
"""Content of the first two pickles, from torch/serialization.py."""

_LARGEST_MEMO = 2**20
"""Highest number of a remembered object: for a forged one of 2^32, Python would take 32 GB of memory."""

_TYPES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
}
"""Type of the values in each kind of storage."""

_LAYERS = {
    "conv.0": "conv.0.conv",
    "conv.1": "conv.0.norm",
    "conv.3": "conv.1.conv",
    "conv.4": "conv.1.norm",
    "fc.0.module.0": "norm",
    "fc.0.module.1": "linear",
}
"""Name of each layer of the published model in this one, without the recurrent layers."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """Content of a published checkpoint."""

    params: Params
    """Parameters of this program that describe the same model and features."""
    weights: dict[str, Tensor]
    """Weights and BatchNorm statistics by their names in this program's model."""
    epoch: int
    """Epochs that the model was trained for; 0 if the file does not say."""

    @property
    def state(self) -> TrainingState:
        """State that a checkpoint of this program holds."""
        return TrainingState.of_weights(self.params, self.weights, self.epoch)


def read_published(path: Path) -> Published:
    """Return the content of a published checkpoint. No code in the file is run.

    Raises InputError, which names the file, if it is truncated, hostile, or of a different format or model.
    """
    check_file(path, "")
    try:
        with open_regular(path) as file:
            _check_format(file)
            content = _read(file)
        return _published(content)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; {_ADVICE}") from None
    except _Refused as refusal:
        raise InputError(f"{path}: {one_line(str(refusal))}") from None
    except Exception:  # a forged pickle can raise anything
        raise InputError(f"{path}: truncated or damaged; copy it again") from None


_ADVICE = "name the checkpoint that was published with the benchmark of 2018"


class _Refused(Exception):
    """Raised with the reason why a file is not read and what to do."""

    def __init__(self, reason: str, advice: str = _ADVICE) -> None:
        """Make the message of `reason` and `advice`."""
        super().__init__(f"{reason}; {advice}")


class _Storage(NamedTuple):
    """Values that lie behind the pickles."""

    key: str
    kind: torch.dtype
    size: int


class _View(NamedTuple):
    """Tensor of a storage: its place there, its shape, and the distance of neighbours along each axis."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Dictionary(dict[Any, Any]):
    """OrderedDict of Python 2, whose attributes are not needed."""

    def __setstate__(self, _: object) -> None:
        """Leave the attributes out."""


def _rebuild(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _View:
    """Return the tensor that torch's function of nearly this name would build; its storage has not been read yet."""
    return _View(storage, offset, tuple(shape), tuple(strides))


_KNOWN = {
    ("collections", "OrderedDict"): _Dictionary,
    ("torch._utils", "_rebuild_tensor"): _rebuild,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
}
"""Everything that the content may call, by the name that stands in the pickle."""


class _Unpickler(pickle.Unpickler):
    """Unpickler that finds nothing but what the published checkpoint names."""

    def __init__(self, file: BinaryIO) -> None:
        """Make an unpickler of the pickle at the position of `file`."""
        super().__init__(file, encoding="latin1")  # Python 2's texts are bytes
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for `name`. Raises _Refused if it is not one of the names in a checkpoint."""
        if module in ("torch", "torch.cuda") and name in _TYPES:
            return _TYPES[name]
        if (module, name) not in _KNOWN:
            raise _Refused(f"it calls {module}.{name}, which no checkpoint needs")
        return _KNOWN[module, name]

    def persistent_load(self, saved: Any) -> _Storage:
        """Return the storage that a tensor of the content lies in."""
        word, kind, key, _, size, part = saved
        if word != "storage" or part is not None or not isinstance(kind, torch.dtype):
            raise _Refused("a tensor in it is saved in a way that is not known")
        return self.storages.setdefault(key, _Storage(key, kind, size))


def _check_format(file: BinaryIO) -> None:
    """Raise _Refused unless the file begins as torch 0.4 writes it; move to the end of the first two pickles."""
    start = file.read(4)
    file.seek(0)
    if start.startswith(b"PK"):
        raise _Refused(
            "a checkpoint of torch 1.6 or later",
            "those of this program need no import, and those of deepspeech.pytorch 3 cannot be imported",
        )
    if start.startswith(b"\x1f\x8b"):
        raise _Refused("compressed by gzip", "unpack it and name the file in it")
    try:
        with tarfile.open(fileobj=file, mode="r:"):
            raise _Refused("a tar archive", "unpack it and name the file in it")
    except tarfile.TarError:
        file.seek(0)
    try:
        begins_well = (_load(file)[0], _load(file)[0]) == (_MAGIC, _VERSION)
    except Exception:
        begins_well = False
    if not begins_well:
        raise _Refused("no checkpoint of torch 0.4")


def _read(file: BinaryIO) -> dict[str, Any]:
    """Return the content, its weights as tensors. Raises _Refused, or any error if the file is damaged."""
    _load(file)  # sizes of numbers on the writer's machine
    content, storages = _load(file)
    keys, _ = _load(file)
    places = _places([storages[key] for key in keys], file)
    views = content["state_dict"]
    used = {view.storage for view in views.values()}
    # Otherwise, a small forged file could fill the memory.
    if sum(math.prod(view.shape) for view in views.values()) > sum(storage.size for storage in used):
        raise _Refused("its weights share memory")
    weights = {name: _tensor(view, places[view.storage.key], file) for name, view in views.items()}
    return {**content, "state_dict": weights}


def _load(file: BinaryIO) -> tuple[Any, dict[str, _Storage]]:
    """Return the object in the pickle at the file's position, and its storages; move to the pickle's end."""
    start = file.tell()
    for code, argument, _ in pickletools.genops(file):
        if code.name.endswith("PUT") and int(argument or 0) > _LARGEST_MEMO:
            raise _Refused("it asks for more memory than a checkpoint needs")
    file.seek(start)
    unpickler = _Unpickler(file)
    return unpickler.load(), unpickler.storages


def _places(storages: Sequence[_Storage], file: BinaryIO) -> dict[str, int]:
    """Return where the values of each storage start, in the order of the file, whose position is before the first.

    Raises EOFError if the file ends before the last of them does.
    """
    places = {}
    position, length = file.tell(), file.seek(0, os.SEEK_END)
    for storage in storages:
        file.seek(position)
        if int.from_bytes(file.read(8), "little") != storage.size:
            raise EOFError
        places[storage.key] = position + 8
        position += 8 + storage.size * storage.kind.itemsize
    if position > length:
        raise EOFError
    return places


def _tensor(view: _View, place: int, file: BinaryIO) -> Tensor:
    """Return the tensor of `view` in float32; the values of its storage start at `place` in the file."""
    values, kind = math.prod(view.shape), view.storage.kind
    strides = [math.prod(view.shape[axis + 1 :]) for axis in range(len(view.shape))]
    if list(view.strides) != strides or min(view.shape, default=0) < 0 or view.offset < 0:
        raise _Refused("a tensor in it does not lie in one piece")
    if view.offset + values > view.storage.size:
        raise _Refused("a tensor in it is larger than its storage")
    file.seek(place + view.offset * kind.itemsize)
    data = bytearray(file.read(values * kind.itemsize))
    return torch.frombuffer(data, dtype=kind).reshape(view.shape).float() if values else torch.zeros(view.shape)


def _published(content: dict[str, Any]) -> Published:
    """Return the model of a checkpoint's content. Raises _Refused if this program has none like it."""
    if "".join(content["labels"]) != SYMBOLS:
        raise _Refused(f"its alphabet is {''.join(content['labels'])!r}, not {SYMBOLS!r}")
    audio, weights = content["audio_conf"], _weights(content["state_dict"])
    if audio["sample_rate"] != SAMPLE_RATE:
        raise _Refused(f"it is for audio of {audio['sample_rate']} Hz, not of {SAMPLE_RATE}")
    sizes = {"rnn_type": "rnn_type", "rnn_layers": "hidden_layers", "rnn_units": "hidden_size"}
    spectrum = {"window": "window", "window_seconds": "window_size", "hop_seconds": "window_stride"}
    values = settings.to_dict(params.mlperf_2018())
    values["model"] |= {name: content[old] for name, old in sizes.items()}
    values["features"] |= {name: audio[old] for name, old in spectrum.items()}
    try:
        chosen = settings.from_dict(values)
        check_weights(chosen, weights)
    except ValueError as error:
        raise _Refused(str(error)) from None
    epoch = content.get("epoch", 0)
    return Published(params=chosen, weights=weights, epoch=int(epoch))


def _weights(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights by their names in this program's model. Raises _Refused for one that it does not have."""
    weights = {}
    for name, tensor in published.items():
        layer, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked":  # torch 0.4.1 counts them, for an average that the model does not use
            continue
        recurrent = re.fullmatch(r"rnns\.(\d+)\.rnn", layer)
        if not recurrent and layer not in _LAYERS:
            raise _Refused(f"its model has a layer {one_line(layer)}, which that of the benchmark does not have")
        weights[f"{f'rnn.{recurrent[1]}.forwards' if recurrent else _LAYERS[layer]}.{kind}"] = tensor
        if recurrent and kind.startswith("weight"):  # a model trained without biases is one whose biases are 0
            weights.setdefault(
                f"rnn.{recurrent[1]}.forwards.{kind.replace('weight', 'bias')}", torch.zeros(len(tensor))
            )
    return weights
