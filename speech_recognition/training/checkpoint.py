"""Checkpoints: a run between two steps on disk, from which it goes on to the same bits, and a model to evaluate.

A checkpoint carries a digest of its own contents: torch's format does not notice a byte that has changed.
"""

import math
import os
import re
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
import xxhash
from torch import Tensor

from params import Params
from speech_recognition import settings
from speech_recognition.devices import use_precision
from speech_recognition.errors import InputError
from speech_recognition.features import Features
from speech_recognition.files import atomic_write
from speech_recognition.model import DeepSpeech2


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """Everything that a run's later steps depend on."""

    params: Params
    seed: int
    train_set: str
    """digest of the utterances that are trained on"""
    tally: dict[str, float]
    """what the epoch has given so far: its number, its steps, its sums"""
    metrics: list[dict[str, Any]]
    """a row for each evaluation so far"""
    model: dict[str, Tensor]
    optimizer: dict[str, Any]

    @property
    def wer(self) -> float:
        """That of the last evaluation; not a number where there was none."""
        return float(self.metrics[-1]["wer"]) if self.metrics else math.nan

    @property
    def evaluated_epoch(self) -> int:
        """The last epoch that was trained and evaluated; 0 where there is none."""
        return int(self.metrics[-1]["epoch"]) if self.metrics else 0


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model ready to evaluate, and the parameters that made it."""

    params: Params
    model: DeepSpeech2
    features: Features


def save(path: Path, snapshot: Snapshot, others: Sequence[str] = ()) -> None:
    """Write a checkpoint, and let `others` in its folder be further names of it. Raises InputError on a full disk."""
    content = {field.name: getattr(snapshot, field.name) for field in fields(snapshot)}
    content["params"] = settings.to_dict(snapshot.params)
    content["digest"] = digest(content)
    try:
        with atomic_write(path) as partial:
            torch.save(content, partial)
    except (OSError, RuntimeError) as error:  # torch makes a RuntimeError of a full disk
        raise InputError(f"{path}: cannot be written ({str(error).splitlines()[0]}); free some disk") from None
    for name in others:
        with atomic_write(path.with_name(name)) as partial:
            try:
                os.link(path, partial)
            except OSError:  # a file system without hard links
                shutil.copyfile(path, partial)


def read(path: Path) -> Snapshot:
    """Read a checkpoint, on the CPU. Raises InputError on a file that is none, or damaged; runs no code from it."""
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; a run writes them to its results folder, checkpoints/best.pt")
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from None
    try:
        with file:
            content = torch.load(file, map_location="cpu", weights_only=True)
        if content.pop("digest") != digest(content):
            raise ValueError("digest")
        return Snapshot(**content | {"params": settings.from_dict(content["params"])})
    except Exception:  # torch raises anything of damaged bytes
        raise InputError(f"{path}: no checkpoint of this benchmark, or damaged; train again or name another") from None


def load(path: Path, device: torch.device) -> Checkpoint:
    """A checkpoint's model on `device`. Raises InputError as `read` does."""
    return trained(read(path), path, device)


def trained(snapshot: Snapshot, path: Path, device: torch.device) -> Checkpoint:
    """The model on `device` of a snapshot that was read from `path`. Raises InputError if they do not fit."""
    params = snapshot.params
    use_precision(params.model.precision, device)
    model = DeepSpeech2(params.model, params.features.bins)
    try:
        model.load_state_dict(snapshot.model)
    except (RuntimeError, TypeError, AttributeError):  # another shape, no dictionary, no tensors
        raise InputError(f"{path}: its weights do not fit its parameters; train again or name another") from None
    return Checkpoint(params=params, model=model.to(device).eval(), features=Features(params.features).to(device))


def newest(folder: Path) -> tuple[Path, Snapshot] | None:
    """The newest checkpoint of a run's folder that is whole: last.pt, else that of the last epoch; None without files.

    One that is not is named on standard error and passed over. Raises InputError if none is whole.
    """
    paths = [path for path in (folder / "last.pt", *epoch_paths(folder)) if path.is_file()]
    for path in paths:
        try:
            return path, read(path)
        except InputError as error:
            print(f"note: {error}; the one before is used", file=sys.stderr)
    if paths:
        raise InputError(f"{folder}: no checkpoint is whole; train again with another --output-dir")
    return None


def digest(content: object) -> str:
    """Of tensors to the bit and of everything else as text, in nested dictionaries and lists."""
    digested = xxhash.xxh3_128()
    for piece in _pieces(content):
        digested.update(piece)
    return digested.hexdigest()


def epoch_path(folder: Path, epoch: int) -> Path:
    """The checkpoint of an epoch in a run's folder of checkpoints."""
    return folder / f"epoch_{epoch:02d}.pt"


def epoch_paths(folder: Path) -> list[Path]:
    """The checkpoints of epochs, the last first."""
    numbered = [(int(match[1]), path) for path in folder.glob("epoch_*.pt") if (match := _EPOCH.fullmatch(path.name))]
    return [path for _, path in sorted(numbered, reverse=True)]


_EPOCH = re.compile(r"epoch_(\d+)\.pt")


def _pieces(value: object) -> Iterator[bytes]:
    """The bytes of tensors and the text of everything else, in its order."""
    if isinstance(value, Tensor):
        yield f"{value.dtype} {tuple(value.shape)}".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield f"{key!r}:".encode()
            yield from _pieces(entry)
    elif isinstance(value, list | tuple):
        yield f"{len(value)} of".encode()
        for entry in value:
            yield from _pieces(entry)
    else:
        yield repr(value).encode()
