"""The start of a run: a checked job from what a command asks for, before anything is written."""

import os
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from speech_recognition import settings
from speech_recognition.augment import check_noise
from speech_recognition.corpus.counts import SplitCounts, read_counts
from speech_recognition.corpus.quick_manifest import read_table
from speech_recognition.errors import ExitStatus, InputError, one_line
from speech_recognition.files import check_writable
from speech_recognition.mlperf.check import check_log
from speech_recognition.model import DeepSpeech2
from speech_recognition.parameters import Params
from speech_recognition.runs.checkpoint import TrainingState
from speech_recognition.runs.folder import RunFolder
from speech_recognition.runtime import distributed
from speech_recognition.runtime.devices import best_precision, use_precision
from speech_recognition.runtime.distributed import Launch
from speech_recognition.training import division, resume
from speech_recognition.training.epochs import set_digest
from speech_recognition.training.job import Job

_MARGIN_BYTES = 50_000_000
"""Disk for everything in the results folder except the checkpoints, in bytes."""


class NothingLeftError(Exception):
    """The run to go on with has ended; `status` is the exit status with which it ended."""

    def __init__(self, status: ExitStatus) -> None:
        """Make the error for a run that ended with `status`."""
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Places:
    """Folders and manifests of a run: its data, its results, the pinned checksums."""

    data_dir: Path
    """Folder of the processed dataset."""
    train_manifest: Path | None = None
    """Training manifest of the user's own; None for the dataset's."""
    val_manifest: Path | None = None
    """Validation manifest of the user's own; None for the dataset's."""
    output_dir: Path | None = None
    """Folder of the run; None for a new one in `results`."""
    results: Path
    """Folder that holds the folders of runs."""
    references: Path
    """Folder of the pinned checksums."""

    @property
    def own_manifests(self) -> bool:
        """True if a manifest is the user's own."""
        return self.train_manifest is not None or self.val_manifest is not None


def prepare(
    params: Params,
    seed: int | None,
    places: Places,
    launch: Launch,
    device: torch.device,
    *,
    resuming: bool = False,
    epoch: int | None = None,
    timed: bool = False,
    drops_caches: bool = True,
) -> Job:
    """Return the job on `device`, checked. Only the first process calls this; the others put in their own devices.

    seed: None draws one; resuming: go on with a run, from the end of `epoch` or from its newest checkpoint; timed: if
    that run has ended, check its log; drops_caches: every machine may drop its page cache. Raises InputError that
    names the first fault, NothingLeftError if the run to go on with has ended, and as `division.decide` does.
    """
    begun = resume.begun(params.preset, places.output_dir, places.results, launch.run_id) if launch.restarted else None
    found = None
    if begun or resuming:
        # `epoch` was for the first start: processes that torchrun restarts go on from the newest checkpoint.
        place, epoch = begun or places.output_dir, None if begun else epoch
        found = resume.find(params.preset, place, places.results, epoch, seed)
    params = resolve_precision(params, device, found.state.params if found else None)
    check_parameters(params, device)
    if found and found.ended:
        print(f"note: the run in {found.folder} has ended; nothing is left to do", file=sys.stderr)
        raise NothingLeftError(_verdict(found, timed))
    if found:
        seed, folder = found.state.seed, found.folder
    else:
        if seed is None:
            # Killed before its first checkpoint: the log goes on, so the seed must be the one that it states.
            logged = resume.logged_seed(begun) if begun else None
            seed = draw_seed() if logged is None else logged
        folder = begun or results_folder(params, seed, places.output_dir, places.results, resuming)
    # After cheaper checks: without a stamp, `decide` reads the whole dataset, 113 GB and 66 s for LibriSpeech.
    params, verified = division.decide(
        params,
        places.data_dir,
        places.references,
        own_manifests=places.own_manifests,
        drops_caches=drops_caches,
    )
    job = make_job(params, seed, device, folder, places, found.state if found else None)
    return replace(job, verified=verified)


def draw_seed() -> int:
    """Return a seed of 32 bits from the operating system, as MLPerf asks."""
    return int.from_bytes(os.urandom(4), "big")


def results_folder(
    params: Params, seed: int, given: Path | None, root: Path, resuming: bool = False, runs: int = 1
) -> Path:
    """Return the folder that a run, or a series of `runs`, will make: `given`, or a new one in `root`.

    Raises InputError if it has files in it or cannot be written, DiskFullError without room for all checkpoints. With
    `resuming` it may be the folder of a run that ended before its first checkpoint.
    """
    # `newest_runs` sorts by the time in the name. The seed tells runs apart that begin in the same second.
    folder = given or root / f"{params.preset}_{time.strftime('%Y%m%d_%H%M%S')}_{seed}"
    begun = resuming and RunFolder(folder).params.is_file()
    if folder.exists() and not begun and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"--output-dir {folder}: exists already; choose a different folder, remove it, or --resume")
    check_writable(folder, runs * _results_bytes(params), "--output-dir")
    return folder


def resolve_precision(params: Params, device: torch.device, before: Params | None) -> Params:
    """Return `params` with fp32, tf32 or bf16 as precision.

    `auto` becomes the precision of `before`, the parameters of the run to go on with, or else the best of the device.
    """
    if params.model.precision != "auto":
        return params
    precision = before.model.precision if before else best_precision(device)
    return replace(params, model=replace(params.model, precision=precision))


def check_parameters(params: Params, device: torch.device) -> None:
    """Raise InputError for a precision that the device lacks, an uneven batch size, or a folder without noise."""
    use_precision(params.model.precision, device)
    _check_shares(params)
    if params.augmentation.noise_folder:
        check_noise(Path(params.augmentation.noise_folder))


def make_job(
    params: Params, seed: int, device: torch.device, folder: Path, places: Places, state: TrainingState | None = None
) -> Job:
    """Return the job on the dataset of `places`, from the start or from `state`.

    Reads only counts.json. A manifest of the user's own has no such counts: it is read here, before the log begins.
    Raises InputError that names the first fault.
    """
    if state:
        _check_same_parameters(state.params, params, folder)
    train, train_path = _split(places.data_dir, "train", places.train_manifest)
    val, val_path = _split(places.data_dir, "val", places.val_manifest, state.val_set if state else None)
    return Job(
        params=params,
        seed=seed,
        device=device,
        data_dir=places.train_manifest.parent if places.train_manifest else places.data_dir,
        train_manifest=train_path,
        val_manifest=val_path,
        train_utterances=train.utterances,
        val_utterances=val.utterances,
        longest_train_seconds=train.longest_seconds,
        longest_val_seconds=val.longest_seconds,
        output_dir=folder,
        state=state,
    )


def _check_same_parameters(before: Params, now: Params, folder: Path) -> None:
    """Raise InputError, with the options to add, if a resumed run has parameters other than its checkpoint's."""
    changed = settings.differences(before, now)
    changed.pop("data.dataset", None)  # a dataset may have moved: the digests of both sets are compared
    # The division alone can change with manifests of the user's own, or with a dataset other than the preset's.
    if list(changed) == ["submission.division"]:
        raise InputError(
            f"{folder}: the run is of the {before.submission.division} division, and would go on as"
            f" {now.submission.division}; resume it as it began: the same dataset, options and right to drop caches"
        )
    if len(changed) > 1:
        changed.pop("submission.division", None)  # it follows from the others
    if changed:
        listed = "; ".join(f"{name}={theirs}, not {ours}" for name, (theirs, ours) in changed.items())
        again = " ".join(f"--set {name}={theirs}" for name, (theirs, _) in changed.items() if "." in name)
        steps = [f"add {again}"] if again else []
        steps += ["put the preset's stages back into params.py"] if "stages" in changed else []
        advice = f"give its --preset {before.preset}" if "preset" in changed else " and ".join(steps)
        raise InputError(f"{folder}: its checkpoint has other parameters: {listed}; {advice}")


def _split(data_dir: Path, name: str, manifest: Path | None, digest: str | None = None) -> tuple[SplitCounts, Path]:
    """Return the counts and the path of a split's manifest; `manifest` is the user's own, if there is one.

    Raises InputError if the split is missing, or if the user's manifest does not have the `digest` of a checkpoint.
    """
    if manifest is not None:
        utterances = read_table(manifest)
        if digest is not None and set_digest(utterances) != digest:
            raise InputError(f"{manifest}: not the utterances that the run was evaluated on; name those")
        return SplitCounts.of(utterances.samples.tolist()), manifest
    counts: SplitCounts = getattr(read_counts(data_dir), name)
    path = data_dir / "manifests" / f"{name}.csv"
    if counts.utterances == 0 or not path.is_file():
        raise InputError(f"{path}: this dataset has no {name} split; name a different --{name}-manifest or --data-dir")
    return counts, path


def _check_shares(params: Params) -> None:
    """Raise InputError unless every process gets the same number of utterances of each part of a batch."""
    parts = distributed.size() * params.data.accumulation_steps
    for batch_size in (params.data.batch_size, *(stage.batch_size for stage in params.stages)):
        if batch_size % parts:
            raise InputError(
                f"data.batch_size={batch_size}: must be a multiple of {parts}: {distributed.size()} processes times"
                f" data.accumulation_steps={params.data.accumulation_steps}"
            )


def _results_bytes(params: Params) -> int:
    """Return the bytes of a checkpoint of every epoch, of one within an epoch, and of the next while it is written."""
    with torch.device("meta"):  # shapes without memory: the weights of `reference` would take 415 MB
        model = DeepSpeech2(params.model, params.features.bins)
    weights: int = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    # SGD keeps a momentum for each weight, Adam and AdamW two moments: ten epochs of `reference` take 15 GB.
    optimizer_states = 1 if params.optimizer.name == "sgd" else 2
    return (1 + optimizer_states) * weights * (params.training.epochs + 2) + _MARGIN_BYTES


def _verdict(found: resume.Resumption, timed: bool) -> ExitStatus:
    """Return the exit status with which a run ended.

    The faults of a timed run's log go to standard error: standard output holds no more than the log.
    """
    violations = []
    if timed:
        logs = RunFolder(found.folder).logs()
        log = logs[-1] if logs else RunFolder(found.folder).log
        violations = check_log(log, found.state.params.submission.division)
        for violation in violations:
            print(f"NOT COMPLIANT: {one_line(str(violation))}", file=sys.stderr)
    if not found.reached:
        return ExitStatus.TARGET_MISSED
    return ExitStatus.FAILURE if violations else ExitStatus.DONE
