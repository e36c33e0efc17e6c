"""When a run is saved: after each evaluation, every so often between, and when a signal ends it."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from params import Params
from speech_recognition.runs import checkpoint
from speech_recognition.runs.folder import EpochMetrics
from speech_recognition.runtime import distributed
from speech_recognition.training.trainer import Trainer


class Snapshots:
    """The checkpoints of a run, written by its first process; call it after every step and every evaluation."""

    def __init__(self, folder: Path, params: Params, trainer: Trainer, metrics: Sequence[EpochMetrics]) -> None:
        self._folder, self._params, self._trainer, self._metrics = folder, params, trainer, metrics
        self._saved = time.monotonic()

    def after_step(self) -> None:
        """Save if that is due."""
        every_steps, every_minutes = self._params.training.save_steps, self._params.training.save_minutes
        due = every_minutes and time.monotonic() - self._saved >= 60 * every_minutes
        if due or (every_steps and self._trainer.tally.steps % every_steps == 0):
            self.now()

    def now(self) -> None:
        """Save between two steps, as last.pt."""
        self._save("last.pt")

    def after_evaluation(self) -> None:
        """Save a whole epoch, as its own file, last.pt, and where it is best.pt."""
        last = self._metrics[-1]
        is_best = last.wer <= min(row.wer for row in self._metrics if row.epoch > 0)  # epoch 0 has no checkpoint
        names = ("last.pt", "best.pt") if is_best else ("last.pt",)
        self._save(checkpoint.epoch_path(self._folder, last.epoch).name, *names)

    def before_the_end(self) -> None:
        """Save what a signal stops: a whole epoch, or what there is of one."""
        if self._metrics and self._metrics[-1].epoch == self._trainer.tally.epoch:
            self.after_evaluation()
        else:
            self.now()
        print(f"saved: {self._folder / 'last.pt'}; go on from there with --resume", file=sys.stderr)

    def _save(self, name: str, *others: str) -> None:
        if distributed.is_first():
            checkpoint.save(self._folder / name, self._snapshot(), others)
        self._saved = time.monotonic()

    def _snapshot(self) -> checkpoint.Snapshot:
        trainer = self._trainer
        return checkpoint.Snapshot(
            params=self._params,
            seed=trainer.seed,
            train_set=trainer.train_set_digest,
            val_set=trainer.val_set_digest,
            tally=vars(trainer.tally),
            metrics=[vars(row) for row in self._metrics],
            model=trainer.model.state_dict(),
            optimizer=trainer.optimizer.state_dict(),
        )
