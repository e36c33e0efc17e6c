"""Everything that can be wrong before the clock runs, found before anything is written."""

import os
import time
from pathlib import Path

import torch

from params import Params
from speech_recognition.corpus.manifest import SplitCounts, read_counts, read_manifest
from speech_recognition.devices import choose_device
from speech_recognition.errors import InputError
from speech_recognition.files import check_writable
from speech_recognition.model import DeepSpeech2
from speech_recognition.training.run import Job

_MARGIN_BYTES = 50_000_000
"""Disk for everything in the results folder but the checkpoints."""


def plan(
    params: Params,
    *,
    seed: int | None,
    device: str,
    data_dir: Path,
    train_manifest: Path | None,
    val_manifest: Path | None,
    output_dir: Path | None,
    results_root: Path,
) -> Job:
    """The job that the options ask for. Raises InputError naming the first thing that is wrong.

    Of the dataset only counts.json is read. A manifest of the user's own has no
    such counts: it is read here, before the log begins, and such a run is no
    scored one (the closed rules refuse its counts).
    """
    train, train_path = _split(data_dir, "train", train_manifest)
    val, val_path = _split(data_dir, "val", val_manifest)
    drawn = int.from_bytes(os.urandom(4), "big") if seed is None else seed
    folder = output_dir or results_root / f"{params.preset}_{time.strftime('%Y%m%d_%H%M%S')}_{drawn}"
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"--output-dir {folder}: exists already; choose another or remove it")
    check_writable(folder, _results_bytes(params), "--output-dir")
    return Job(
        params=params,
        seed=drawn,
        device=choose_device(device),
        train_manifest=train_path,
        val_manifest=val_path,
        train_samples=train.utterances,
        val_samples=val.utterances,
        longest_seconds=max(train.longest_seconds, val.longest_seconds),
        output_dir=folder,
    )


def _split(data_dir: Path, name: str, manifest: Path | None) -> tuple[SplitCounts, Path]:
    if manifest is not None:
        return SplitCounts.of([each.samples for each in read_manifest(manifest)]), manifest
    counts: SplitCounts = getattr(read_counts(data_dir), name)
    path = data_dir / "manifests" / f"{name}.csv"
    if counts.utterances == 0 or not path.is_file():
        raise InputError(f"{path}: this dataset has no {name} split; name another --{name}-manifest or --data-dir")
    return counts, path


def _results_bytes(params: Params) -> int:
    with torch.device("meta"):
        model = DeepSpeech2(params.model, params.features.bins)
    weights: int = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    return weights * params.training.epochs + _MARGIN_BYTES
