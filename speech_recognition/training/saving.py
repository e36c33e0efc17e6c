"""When a run is saved: after each evaluation, at intervals within an epoch, and when a signal ends it."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from speech_recognition.runs import checkpoint
from speech_recognition.runs.checkpoint import BEST, LAST, TrainingState
from speech_recognition.runs.metrics import EpochMetrics, best_of
from speech_recognition.runs.writer import CheckpointWriter
from speech_recognition.runtime import distributed
from speech_recognition.training.data import RunData
from speech_recognition.training.trainer import Trainer


class SavePolicy:
    """Decision when a run is saved. All processes call it after every step and evaluation; the first one writes."""

    def __init__(
        self,
        folder: Path,
        trainer: Trainer,
        metrics: Sequence[EpochMetrics],
        data: RunData,
        writer: CheckpointWriter,
    ) -> None:
        """Have `writer` save to `folder` what `trainer` and `metrics`, which grow with the run, hold at that moment."""
        self._folder, self._trainer, self._metrics, self._data = folder, trainer, metrics, data
        self._writer = writer
        self._saved = time.monotonic()

    def after_step(self) -> None:
        """Save as last.pt if training.save_steps or training.save_minutes asks for it after this step.

        Raises OSError if the checkpoint before could not be written.
        """
        self._writer.check()
        training = self._trainer.params.training
        every_steps, every_minutes = training.save_steps, training.save_minutes
        # The processes' clocks may disagree by a step, which does no harm: the first one's decides, as it alone writes.
        due = every_minutes and time.monotonic() - self._saved >= 60 * every_minutes
        if due or (every_steps and self._trainer.tally.steps % every_steps == 0):
            self.now()

    def now(self) -> None:
        """Save between two steps, as last.pt."""
        self._save(LAST)

    def after_evaluation(self) -> None:
        """Save an evaluated epoch as epoch_NN.pt and last.pt, and as best.pt if no epoch has a lower WER."""
        last = self._metrics[-1]
        names = (LAST, BEST) if best_of(self._metrics) is last else (LAST,)
        self._save(checkpoint.epoch_path(self._folder, last.epoch).name, *names)

    def before_the_end(self) -> None:
        """Save what a signal or a dead worker stops: an evaluated epoch, or the part of one that was trained.

        Waits until it is on disk, and prints to standard error how to go on.
        """
        # An evaluated epoch is saved as such, so that a run that goes on does not evaluate it again.
        if self._metrics and self._metrics[-1].epoch == self._trainer.tally.epoch:
            self.after_evaluation()
        else:
            self.now()
        self._writer.wait()
        print(
            f"saved: {self._folder / LAST}; to go on, repeat the command with --resume --output-dir "
            f"{self._folder.parent}",
            file=sys.stderr,
        )

    def _save(self, name: str, *others: str) -> None:
        """Save under `name` and `others` in the first process; the minutes count from here in all."""
        if distributed.is_first():
            self._writer.save(self._folder / name, self._state(), others)
        self._saved = time.monotonic()

    def _state(self) -> TrainingState:
        """Return the state of the run between two steps, with the trainer's own tensors: the next step changes them."""
        trainer, data = self._trainer, self._data
        return TrainingState(
            params=trainer.params,
            seed=trainer.seed,
            train_set=data.train_digest,
            val_set=data.val_digest,
            tally=vars(trainer.tally),
            metrics=[vars(row) for row in self._metrics],
            model=trainer.model.state_dict(),
            optimizer=trainer.optimizer.state_dict(),
        )
