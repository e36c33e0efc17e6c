"""From what was asked for to a job: what the first process does before the run begins."""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from params import Params
from speech_recognition.errors import ExitStatus, one_line
from speech_recognition.mlperf.check import check_log
from speech_recognition.runs.folder import LOG_NAME, newest_log
from speech_recognition.runtime.distributed import Launch
from speech_recognition.training import division, preflight, resume, timed
from speech_recognition.training.run import Job


@dataclass(frozen=True, kw_only=True)
class Request:
    """A training as it was asked for."""

    params: Params
    seed: int | None
    data_dir: Path
    train_manifest: Path | None
    val_manifest: Path | None
    output_dir: Path | None
    results_root: Path
    references: Path
    """folder of the pinned checksums"""
    resume: bool
    epoch: int | None
    """to go on from; None for the newest checkpoint"""
    timed: bool


def plan(request: Request, launch: Launch, device: torch.device) -> Job | ExitStatus:
    """The job on a device like `device`; or an exit status, if nothing is left to run. Raises InputError."""
    params, given, root = request.params, request.output_dir, request.results_root
    preflight.check_parameters(params, device)
    begun = resume.begun(params.preset, given, root, launch.run_id) if launch.restarted else None
    found = None
    if begun or request.resume:
        epoch = None if begun else request.epoch  # what has begun has gone on from there already
        found = resume.find(params.preset, begun or given, root, epoch, request.seed)
    if found and found.ended:
        print(f"note: the run in {found.folder} has ended; nothing is left to do", file=sys.stderr)
        return _verdict(found, request.timed)
    if found:
        seed, folder = found.snapshot.seed, found.folder
    else:
        seed = _seed(request.seed, begun)
        folder = begun or preflight.results_folder(params, seed, given, root, request.resume)
    manifests = preflight.Manifests(train=request.train_manifest, val=request.val_manifest)
    if request.timed and not manifests.own:
        timed.make_embedded_dataset(params, request.data_dir)
    params, verified = division.decide(params, request.data_dir, request.references, manifests.own)
    snapshot = found.snapshot if found else None
    return preflight.make_job(params, seed, device, folder, request.data_dir, manifests, snapshot, verified)


def _verdict(found: resume.Resumption, timed: bool) -> ExitStatus:
    """Return the exit status of a run that has ended, the same as when it ended.

    What is wrong with a timed run's log is said on standard error: standard output has no more than the log.
    """
    violations = []
    if timed:
        log = newest_log(found.folder) or found.folder / LOG_NAME
        violations = check_log(log, found.snapshot.params.submission.division)
        for violation in violations:
            print(f"NOT COMPLIANT: {one_line(str(violation))}", file=sys.stderr)
    if not found.reached:
        return ExitStatus.TARGET_MISSED
    return ExitStatus.FAILURE if violations else ExitStatus.DONE


def _seed(asked: int | None, begun: Path | None) -> int:
    """That of the command, of the run that torchrun has begun before, or a new one."""
    logged = resume.logged_seed(begun) if begun else None
    return next((seed for seed in (asked, logged) if seed is not None), preflight.draw_seed())
