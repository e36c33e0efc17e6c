"""Checkpoints: the state of a run between two steps, on disk. On a CPU, a run that goes on from one computes the same
bits.

A checkpoint carries a digest of its own content, because torch loads a file with a flipped byte without an error.
"""

import math
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any, Self

import torch
import xxhash
from torch import Tensor

from speech_recognition import settings
from speech_recognition.errors import InputError, one_line
from speech_recognition.files import FULL, atomic_write, check_file
from speech_recognition.parameters import Params
from speech_recognition.recognizer import Recognizer, load_recognizer
from speech_recognition.runs.metrics import EpochMetrics
from speech_recognition.runs.tally import Tally

VERSION = 2
"""Number of the content's format, raised when its fields change. Version 1 stored no number and no `val_set`."""

LAST, BEST = "last.pt", "best.pt"
"""Second names of two checkpoints: the newest, and that of the epoch with the lowest WER."""


class OtherVersionError(InputError):
    """Raised for a checkpoint that is whole, but that a different version of this program wrote."""


@dataclass(frozen=True, kw_only=True)
class TrainingState:
    """Everything that a run's later steps depend on."""

    params: Params
    seed: int
    train_set: str
    """Digest of the training set."""
    val_set: str
    """Digest of the validation set."""
    tally: dict[str, float]
    """Sums of the epoch so far, by the fields of `Tally`."""
    metrics: list[dict[str, Any]]
    """Figures of each evaluation so far, by the fields of `EpochMetrics`."""
    model: dict[str, Tensor]
    """Weights and BatchNorm statistics by name."""
    optimizer: dict[str, Any]
    """State of the optimizer, as its `state_dict` returns it."""

    @classmethod
    def of_weights(cls, params: Params, weights: dict[str, Tensor], epoch: int = 0) -> Self:
        """Return a state that came from no run of this program: a run cannot go on from it."""
        return cls(
            params=params,
            seed=0,
            train_set="",
            val_set="",
            tally={"epoch": epoch},
            metrics=[],
            model=weights,
            optimizer={},
        )

    @property
    def wer(self) -> float:
        """WER of the last evaluation, or NaN before the first."""
        return float(self.metrics[-1]["wer"]) if self.metrics else math.nan

    @property
    def evaluated_epoch(self) -> int:
        """Last epoch that was trained and evaluated; 0 before the first."""
        return int(self.metrics[-1]["epoch"]) if self.metrics else 0


def save(path: Path, state: TrainingState, others: Sequence[str] = ()) -> None:
    """Write a checkpoint to `path`, and make each of `others` a second name of it in the same folder.

    Raises OSError, which names the file and, if the disk is full, the remedy.
    """
    # Dictionaries, lists, numbers, texts and tensors only: `weights_only` refuses to load classes of this program.
    content = {field.name: getattr(state, field.name) for field in fields(state)}
    content |= {"version": VERSION, "params": settings.to_dict(state.params)}
    content["digest"] = digest(content)  # of the 1.2 GB of `reference` in about 1.5 s
    try:
        with atomic_write(path) as partial, partial.open("wb") as file:
            _write(content, file)
        for name in others:
            with atomic_write(path.with_name(name)) as partial:
                try:
                    # A link takes no disk: for `reference`, three names of one file of 1.2 GB.
                    os.link(path, partial)
                except OSError:  # a file system without hard links
                    shutil.copyfile(path, partial)
    except OSError as error:
        full = "; free some disk, then run the command again (`train` with --resume)" if error.errno in FULL else ""
        reason = f"cannot be written ({error.strerror or error}){full}"
        raise OSError(error.errno, reason, str(path)) from None


def _write(content: object, file: IO[bytes]) -> None:
    """Write `content` with torch.save. Raises the OSError of a full disk, which torch hides behind a RuntimeError."""
    before = sys.exception()  # if a caller handles an exception, such as a signal's, every new error has it as context
    try:
        torch.save(content, file)
    except RuntimeError as error:
        if error.__context__ is None or error.__context__ is before:
            raise
        raise error.__context__ from None


def read(path: Path) -> TrainingState:
    """Return the state in a checkpoint, with its tensors on the CPU. No code in the file is run.

    Raises InputError if the file is no checkpoint or is damaged, and OtherVersionError if its content is not what
    this version of the program writes.
    """
    content = _content(path)
    try:
        return _state(content)
    except Exception as error:  # a forged checkpoint can hold anything
        raise OtherVersionError(
            f"{path}: written by a different version of this program ({error}); use the one that wrote it, or train"
            " again"
        ) from None


def _content(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content without the digest. Raises InputError if the content has a different digest."""
    check_file(path, "")
    if not path.exists():
        raise InputError(f"{path}: no such checkpoint; a run writes them to its results folder, checkpoints/best.pt")
    try:
        file = path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from None
    try:
        with file:
            _check_size(file)
            content: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        if content.pop("digest") != digest(content):
            raise ValueError("digest")
        return content
    except Exception:  # torch raises errors of any kind on damaged bytes
        raise InputError(
            f"{path}: no checkpoint of this benchmark, or damaged; train again or name a different one"
        ) from None


def _check_size(file: IO[bytes]) -> None:
    """Raise an error unless `file` is a zip archive that unpacks to its own size at most, as torch does not compress.

    A forged archive of a few megabytes could fill the memory.
    """
    unpacked = sum(each.file_size for each in zipfile.ZipFile(file).infolist())
    if unpacked > file.seek(0, os.SEEK_END):
        raise ValueError("larger when unpacked")
    file.seek(0)


def _state(content: dict[str, Any]) -> TrainingState:
    """Return `content` as a state. Raises an error that says which part of it this version does not know."""
    version = content.pop("version", 1)
    # type(), not isinstance(): Python's True is an int.
    if type(version) is not int or version != VERSION:
        raise ValueError(f"it has version {version!r} of the format, this program reads version {VERSION}")
    state = TrainingState(**content | {"params": settings.from_dict(content["params"])})
    tally, rows = Tally(**state.tally), [EpochMetrics(**row) for row in state.metrics]  # type: ignore[arg-type]
    whole = [state.seed, tally.epoch, tally.steps, *(row.epoch for row in rows)]
    numbers = [*vars(tally).values(), *(wer for row in rows for wer in (row.wer, *row.subset_wer.values()))]
    kinds: list[tuple[Iterable[object], Any]] = [
        (whole, int),
        (numbers, int | float),
        (state.model.values(), Tensor),
    ]
    if not all(isinstance(value, kind) for values, kind in kinds for value in values):
        raise TypeError("a value is of the wrong kind")
    return state


def load(path: Path, device: torch.device) -> Recognizer:
    """Return the recognizer of a checkpoint on `device`, in evaluation mode. Raises InputError as `read` does."""
    return recognizer_of(read(path), path, device)


def recognizer_of(state: TrainingState, path: Path, device: torch.device) -> Recognizer:
    """Return the recognizer of a state read from `path`. Raises InputError if its weights do not fit its parameters."""
    try:
        return load_recognizer(state.params, state.model, device)
    except InputError:
        raise
    except ValueError:
        raise InputError(
            f"{path}: its weights do not fit its parameters; train again or name a different one"
        ) from None


def newest(folder: Path) -> tuple[Path, TrainingState] | None:
    """Return the newest whole checkpoint in `folder`, with its path; None if there is no file.

    This is last.pt or, if that is damaged, the checkpoint of the latest epoch. Damaged ones are named on standard
    error. Raises InputError if none is whole, and OtherVersionError if a different version of this program wrote the
    newest whole one: a run that went on from an older one would overwrite it.
    """
    paths = [path for path in (folder / LAST, *epoch_paths(folder)) if path.is_file()]
    for path in paths:
        try:
            return path, read(path)
        except OtherVersionError:
            raise
        except InputError as error:
            print(f"note: {one_line(str(error))}; the one before is used", file=sys.stderr)
    if paths:
        raise InputError(f"{folder}: no checkpoint is whole; train again with a different --output-dir")
    return None


def digest(content: object) -> str:
    """Return the digest of nested dictionaries and lists, from the bits of tensors and the text of other values."""
    digested = xxhash.xxh3_128()
    for piece in _pieces(content):
        digested.update(piece)
    return digested.hexdigest()


def epoch_path(folder: Path, epoch: int) -> Path:
    """Return the path of an epoch's checkpoint in a run's folder of checkpoints."""
    return folder / f"epoch_{epoch:02d}.pt"


def epoch_paths(folder: Path) -> list[Path]:
    """Return the paths of the epochs' checkpoints that exist, the latest epoch first."""
    numbered = [(int(match[1]), path) for path in folder.glob("epoch_*.pt") if (match := _EPOCH.fullmatch(path.name))]
    return [path for _, path in sorted(numbered, reverse=True)]


_EPOCH = re.compile(r"epoch_(\d+)\.pt")


def _pieces(value: object) -> Iterator[bytes | memoryview]:
    """Yield the bytes that are digested. Raises TypeError or ValueError on a value that no checkpoint holds."""
    if isinstance(value, Tensor):
        if value.nbytes > value.untyped_storage().nbytes():  # a forged tensor can repeat four bytes into terabytes
            raise ValueError("elements that share memory")
        yield f"{value.dtype} {tuple(value.shape)}".encode()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _pieces(key)
            yield b":"
            yield from _pieces(entry)
    elif isinstance(value, list | tuple):
        yield f"{len(value)} of".encode()
        for entry in value:
            yield from _pieces(entry)
    elif isinstance(value, str | int | float | None):
        yield repr(value).encode()
    else:
        raise TypeError(type(value).__name__)
