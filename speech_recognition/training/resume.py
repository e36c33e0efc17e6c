"""The choice of the run to go on with, and of its checkpoint."""

import sys
from dataclasses import dataclass
from pathlib import Path

from speech_recognition.errors import InputError
from speech_recognition.mlperf.log_table import has_lines, log_table
from speech_recognition.runs import checkpoint
from speech_recognition.runs.checkpoint import TrainingState
from speech_recognition.runs.folder import RunFolder, newest_runs
from speech_recognition.scoring import target_reached


@dataclass(frozen=True, kw_only=True)
class Resumption:
    """Run to go on with, and the checkpoint from which it goes on."""

    folder: Path
    """Folder of the run."""
    state: TrainingState
    """State in the checkpoint."""

    @property
    def ended(self) -> bool:
        """True if the run has nothing left to do."""
        return self.reached or self.state.evaluated_epoch >= self.state.params.training.epochs

    @property
    def reached(self) -> bool:
        """True if the run has reached its target."""
        return bool(self.state.metrics) and target_reached(self.state.wer, self.state.params.training.target_wer)


def find(preset: str, given: Path | None, root: Path, epoch: int | None, seed: int | None) -> Resumption | None:
    """Return the run in `given`, else the newest of `preset` in `root` that has a checkpoint.

    The run goes on from the end of `epoch`, or from its newest checkpoint. Without any checkpoint, prints a note and
    returns None. Raises InputError if there are checkpoints and none of them can be used, if there is none of `epoch`,
    or if they have a seed other than `seed`.
    """
    for folder in _folders(preset, given, root):
        checkpoints = folder.checkpoints
        found = _epoch(checkpoints, epoch) if epoch is not None else checkpoint.newest(checkpoints)
        if found is None:  # killed before its first checkpoint, which is due after ten minutes: try an older run
            continue
        path, state = found
        if "steps" not in state.tally:
            raise InputError(f"{path}: was imported, and no training can go on from it; name a run with --output-dir")
        if seed is not None and seed != state.seed:
            raise InputError(f"--seed {seed}: {path} has the seed {state.seed}; leave --seed out")
        print(f"going on from {path}: epoch {state.tally['epoch']}, step {state.tally['steps']}", file=sys.stderr)
        return Resumption(folder=folder.path, state=state)
    where = f"no checkpoint in {given}" if given else f"no run of {preset} with a checkpoint in {root}"
    if epoch is not None:
        raise InputError(f"--resume {epoch}: {where}; name the run with --output-dir, or leave --resume out")
    print(f"note: {where} yet; from scratch", file=sys.stderr)
    return None


def begun(preset: str, given: Path | None, root: Path, run_id: str) -> Path | None:
    """Return the folder that the run `run_id` of torchrun made before its restart; None if it made none."""
    folders = _folders(preset, given, root)
    return next((folder.path for folder in folders if folder.torchrun_id() == run_id), None)


def logged_seed(folder: Path) -> int | None:
    """Return the seed that the newest log of a run states; None if the run ended before that line.

    Raises InputError if the line has no number from 0 to 4294967295.
    """
    logs = RunFolder(folder).logs()
    log = logs[-1] if logs else None
    if log is None or not log.is_file() or not has_lines(log):
        return None
    frame = log_table(log)
    seeds = frame.loc[frame["key"] == "seed", "value"].tolist()
    if not seeds:
        return None
    seed = seeds[0]
    if type(seed) is not int or not 0 <= seed < 2**32:  # `isinstance` would take JSON's true for the number 1
        raise InputError(f"{log}: its seed is {seed!r}, must be from 0 to 4294967295; choose a different --output-dir")
    return seed


def _folders(preset: str, given: Path | None, root: Path) -> list[RunFolder]:
    """Return the folder that was given, else those of `preset` in `root`, the newest first."""
    return [RunFolder(given)] if given else newest_runs(preset, root)


def _epoch(checkpoints: Path, epoch: int) -> tuple[Path, TrainingState] | None:
    """Return the checkpoint of an epoch; None without a folder of checkpoints. Raises InputError as `read` does."""
    if not checkpoints.is_dir():
        return None
    path = checkpoint.epoch_path(checkpoints, epoch)
    if path not in checkpoint.epoch_paths(checkpoints):
        raise InputError(f"--resume {epoch}: {path} does not exist; choose an epoch that the run has finished")
    return path, checkpoint.read(path)
