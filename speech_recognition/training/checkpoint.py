"""A trained model on disk: weights, the parameters that made them, the epoch and its WER."""

import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch

from params import Params
from speech_recognition import settings
from speech_recognition.errors import InputError
from speech_recognition.features import Features
from speech_recognition.files import atomic_write
from speech_recognition.model import DeepSpeech2


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A model ready to evaluate, and where it came from."""

    params: Params
    epoch: int
    wer: float
    model: DeepSpeech2
    features: Features


def save(folder: Path, params: Params, epoch: int, wer: float, model: DeepSpeech2, is_best: bool) -> None:
    """Write `epoch_NN.pt` and let `last.pt`, and `best.pt` where it is, be other names of it."""
    path = folder / f"epoch_{epoch:02d}.pt"
    content = {"params": settings.to_dict(params), "epoch": epoch, "wer": wer, "model": model.state_dict()}
    with atomic_write(path) as partial:
        torch.save(content, partial)
    for name in ("last.pt", "best.pt") if is_best else ("last.pt",):
        with atomic_write(folder / name) as partial:
            try:
                os.link(path, partial)
            except OSError:  # a file system without hard links
                shutil.copyfile(path, partial)


def load(path: Path, device: torch.device) -> Checkpoint:
    """Read a checkpoint onto `device`. Raises InputError on a file that is none; runs no code from it."""
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint; a run writes them to its results folder, checkpoints/best.pt")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        params = settings.from_dict(content["params"])
        model = DeepSpeech2(params.model, params.features.bins)
        model.load_state_dict(content["model"])
        epoch, wer = int(content["epoch"]), float(content["wer"])
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError, ValueError):
        raise InputError(f"{path}: no checkpoint of this benchmark, or damaged; train again or name another") from None
    return Checkpoint(
        params=params,
        epoch=epoch,
        wer=wer,
        model=model.to(device).eval(),
        features=Features(params.features).to(device),
    )
