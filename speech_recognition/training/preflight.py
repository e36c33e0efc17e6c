"""Everything that can be wrong before the clock runs, found before anything is written."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from params import Params
from speech_recognition import settings
from speech_recognition.augment import check_noise
from speech_recognition.corpus.counts import SplitCounts, read_counts
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.corpus.stamp import Verified
from speech_recognition.errors import InputError
from speech_recognition.files import check_writable
from speech_recognition.model import DeepSpeech2
from speech_recognition.runs.checkpoint import Snapshot
from speech_recognition.runtime import distributed
from speech_recognition.runtime.devices import use_precision
from speech_recognition.training.run import Job

_MARGIN_BYTES = 50_000_000
"""Disk for everything in the results folder but the checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Manifests:
    """Manifests of the user's own, instead of the dataset's."""

    train: Path | None = None
    val: Path | None = None

    @property
    def own(self) -> bool:
        """Whether there is one."""
        return self.train is not None or self.val is not None


def draw_seed() -> int:
    """A seed of 32 bits from the operating system, as MLPerf asks."""
    return int.from_bytes(os.urandom(4), "big")


def results_folder(
    params: Params, seed: int, given: Path | None, root: Path, resume: bool = False, runs: int = 1
) -> Path:
    """The folder that a run, or a series of `runs`, will make: `given`, or one in `root` of preset, time and seed.

    Raises InputError if it is there already or cannot be written, DiskFullError without room for all checkpoints.
    With `resume` it may be that of a run which ended before its first checkpoint.
    """
    folder = given or root / f"{params.preset}_{time.strftime('%Y%m%d_%H%M%S')}_{seed}"
    begun = resume and (folder / "params.json").is_file()
    if folder.exists() and not begun and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"--output-dir {folder}: exists already; choose another, remove it, or --resume")
    check_writable(folder, runs * _results_bytes(params), "--output-dir")
    return folder


def check_parameters(params: Params, device: torch.device) -> None:
    """Raise InputError naming a parameter that fits neither the device nor the processes, or names no folder."""
    use_precision(params.model.precision, device)
    _check_shares(params)
    if params.augmentation.noise_folder:
        check_noise(Path(params.augmentation.noise_folder))


def make_job(
    params: Params,
    seed: int,
    device: torch.device,
    output_dir: Path,
    data_dir: Path,
    manifests: Manifests,
    snapshot: Snapshot | None = None,
    verified: Verified | None = None,
) -> Job:
    """Return the job on a dataset, from the start or from `snapshot`.

    Only counts.json is read. A manifest of the user's own has no such counts: it is
    read here, before the log begins. Raises InputError naming the first thing that is wrong.
    """
    if snapshot and (changed := settings.differences(snapshot.params, params)):
        listed = "; ".join(f"{name}={theirs}, not {ours}" for name, (theirs, ours) in changed.items())
        again = " ".join(f"--set {name}={theirs}" for name, (theirs, _) in changed.items() if "." in name)
        advice = f"give its --preset {snapshot.params.preset}" if "preset" in changed else f"add {again}"
        raise InputError(f"{output_dir}: its checkpoint has other parameters: {listed}; {advice}")
    train, train_path = _split(data_dir, "train", manifests.train)
    val, val_path = _split(data_dir, "val", manifests.val)
    return Job(
        params=params,
        seed=seed,
        device=device,
        train_manifest=train_path,
        val_manifest=val_path,
        train_samples=train.utterances,
        val_samples=val.utterances,
        longest_seconds=max(train.longest_seconds, val.longest_seconds),
        output_dir=output_dir,
        snapshot=snapshot,
        verified=verified,
    )


def _split(data_dir: Path, name: str, manifest: Path | None) -> tuple[SplitCounts, Path]:
    if manifest is not None:
        return SplitCounts.of([each.samples for each in read_manifest(manifest)]), manifest
    counts: SplitCounts = getattr(read_counts(data_dir), name)
    path = data_dir / "manifests" / f"{name}.csv"
    if counts.utterances == 0 or not path.is_file():
        raise InputError(f"{path}: this dataset has no {name} split; name another --{name}-manifest or --data-dir")
    return counts, path


def _check_shares(params: Params) -> None:
    """Every process has to get as much of each batch."""
    parts = distributed.size() * params.data.accumulation_steps
    for batch_size in (params.data.batch_size, *(stage.batch_size for stage in params.stages)):
        if batch_size % parts:
            raise InputError(
                f"data.batch_size={batch_size}: must be a multiple of {parts}: {distributed.size()} processes times"
                f" data.accumulation_steps={params.data.accumulation_steps}"
            )


def _results_bytes(params: Params) -> int:
    """A checkpoint for every epoch, the one within an epoch, and the next while it is written."""
    with torch.device("meta"):
        model = DeepSpeech2(params.model, params.features.bins)
    weights: int = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    optimizer_states = 1 if params.optimizer.name == "sgd" else 2
    return (1 + optimizer_states) * weights * (params.training.epochs + 2) + _MARGIN_BYTES
