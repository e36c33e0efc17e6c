"""Which run to go on with, and from which of its checkpoints."""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from speech_recognition.errors import InputError
from speech_recognition.mlperf.log_table import has_lines, log_table
from speech_recognition.runs import checkpoint
from speech_recognition.runs.checkpoint import Snapshot
from speech_recognition.runs.folder import newest_log, torchrun_id
from speech_recognition.scoring import target_reached


@dataclass(frozen=True, kw_only=True)
class Resumption:
    """A run's folder, and the checkpoint that it goes on from."""

    folder: Path
    snapshot: Snapshot

    @property
    def ended(self) -> bool:
        """Whether the run has nothing left to do."""
        return self.reached or self.snapshot.evaluated_epoch >= self.snapshot.params.training.epochs

    @property
    def reached(self) -> bool:
        """Whether it has reached its target."""
        return bool(self.snapshot.metrics) and target_reached(
            self.snapshot.wer, self.snapshot.params.training.target_wer
        )


def find(preset: str, given: Path | None, root: Path, epoch: int | None, seed: int | None) -> Resumption | None:
    """The run in the folder `given`, else the newest of `preset` in `root`; None, said aloud, if none has begun.

    Goes on from the end of `epoch`, or from the newest checkpoint. Raises InputError if there are
    checkpoints and none of them will do, or if `seed` is not theirs.
    """
    for folder in [given] if given else _newest_first(preset, root):
        found = _epoch(folder, epoch) if epoch is not None else checkpoint.newest(folder / "checkpoints")
        if found is None:
            continue
        path, snapshot = found
        if seed is not None and seed != snapshot.seed:
            raise InputError(f"--seed {seed}: {path} has the seed {snapshot.seed}; leave --seed out")
        print(f"going on from {path}: epoch {snapshot.tally['epoch']}, step {snapshot.tally['steps']}", file=sys.stderr)
        return Resumption(folder=folder, snapshot=snapshot)
    where = f"no checkpoint in {given}" if given else f"no run of {preset} with a checkpoint in {root}"
    if epoch is not None:
        raise InputError(f"--resume {epoch}: {where}")
    print(f"note: {where} yet; from scratch", file=sys.stderr)
    return None


def begun(preset: str, given: Path | None, root: Path, run_id: str) -> Path | None:
    """The folder of the run whose processes torchrun has started again; None if they had made none yet."""
    folders = [given] if given else _newest_first(preset, root)
    return next((folder for folder in folders if torchrun_id(folder) == run_id), None)


def logged_seed(folder: Path) -> int | None:
    """Return the seed of the run in this folder, from its newest log; None if it had not come that far.

    Raises InputError if what the log has there is no seed.
    """
    log = newest_log(folder)
    if log is None or not log.is_file() or not has_lines(log):
        return None
    frame = log_table(log)
    seeds = frame.loc[frame["key"] == "seed", "value"].tolist()
    if not seeds:
        return None
    seed = seeds[0]
    if type(seed) is not int or not 0 <= seed < 2**32:
        raise InputError(f"{log}: its seed is {seed!r}, no number from 0 to 4294967295; choose another --output-dir")
    return seed


def _newest_first(preset: str, root: Path) -> list[Path]:
    """The folders of a preset's runs; their names tell when they began."""
    name = re.compile(rf"{preset}_\d{{8}}_\d{{6}}_\d+")
    return sorted((path for path in root.glob(f"{preset}_*") if name.fullmatch(path.name)), reverse=True)


def _epoch(folder: Path, epoch: int) -> tuple[Path, Snapshot] | None:
    path = checkpoint.epoch_path(folder / "checkpoints", epoch)
    if not (folder / "checkpoints").is_dir():
        return None
    return path, checkpoint.read(path)
