"""The run, on one screen: initialise, start the clock, train epoch after epoch until the target."""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import TextIOBase
from pathlib import Path

import torch

from params import Params
from speech_recognition import settings
from speech_recognition.corpus.manifest import Utterance, read_manifest
from speech_recognition.corpus.stamp import Verified
from speech_recognition.errors import InputError, WorkerError
from speech_recognition.evaluation import Evaluation, write_rows
from speech_recognition.lengths import ctc_frames
from speech_recognition.mlperf.run_log import RunLog
from speech_recognition.runs.checkpoint import Snapshot
from speech_recognition.runs.folder import UTTERANCES_NAME, EpochMetrics, write_metrics
from speech_recognition.runs.steps import StepTable
from speech_recognition.runtime import distributed
from speech_recognition.runtime.distributed import ALONE, Launch
from speech_recognition.runtime.interruption import Stopped, between_steps
from speech_recognition.scoring import target_reached
from speech_recognition.training.saving import Snapshots
from speech_recognition.training.tally import Tally
from speech_recognition.training.trainer import Trainer


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run that passed the preflight: what to train, on what, and where the results go."""

    params: Params
    seed: int
    device: torch.device
    train_manifest: Path
    val_manifest: Path
    train_samples: int
    """utterances of the training manifest, known before any of it is read"""
    val_samples: int
    longest_seconds: float
    """of both manifests; the warm-up's length"""
    output_dir: Path
    snapshot: Snapshot | None = None
    """where to go on from"""
    verified: Verified | None = None
    """the dataset of a closed run, whose checksum the log states; None in the open division"""
    launch: Launch = ALONE
    """what torchrun has told this process"""


def run(job: Job, output: TextIOBase) -> bool:
    """Train until the target or the last epoch; writes the log, the checkpoints and the results.

    Returns whether the target was reached. Raises InputError on a fault in the data that only shows when it
    is read. However it ends, the log ends with run_stop, and the results hold every epoch there was.
    """
    params = job.params
    metrics = [EpochMetrics(**row) for row in job.snapshot.metrics] if job.snapshot else []
    print(f"parameters: {json.dumps(settings.to_dict(params))}", file=output)
    with RunLog(output, goes_on=not job.launch.ends_the_run) as log:
        log.cache_cleared(all(distributed.gather(drop_caches() if job.launch.first_on_its_machine else True)))
        with log.initialization(params, job.seed) as init:
            trainer = Trainer(params, job.seed, job.device)
            trainer.warm_up(job.longest_seconds)
            init.weights([name for name, _ in trainer.model.named_parameters()])
            if job.verified:
                init.dataset(job.verified.dataset, job.verified.sha256)
            init.samples(train=job.train_samples, evaluation=job.val_samples)
            if job.snapshot:
                trainer.restore(job.snapshot)
            if job.snapshot and not job.launch.restarted:
                init.resumed(job.snapshot.evaluated_epoch + 1, trainer.tally.steps)
        epochs = _Epochs(job, trainer, metrics, log, output)
        with between_steps() as check:  # a signal after the last step waits for the last save
            with log.run() as clock:
                try:
                    if epochs.train(check):
                        clock.success()
                    check()
                except (Stopped, WorkerError):
                    epochs.snapshots.before_the_end()
                    raise
            epochs.snapshots.after_evaluation()
        if not clock.reached_target:
            best = min(metrics, key=lambda row: row.wer)
            print(
                f"target {params.training.target_wer:g} not reached in {params.training.epochs} epochs:"
                f" the best WER is {best.wer:.2f}, of epoch {best.epoch}",
                file=output,
            )
        if params.augmentation.pictures and distributed.is_first():
            trainer.draw_augmented(job.output_dir / "augmentation")
    return clock.reached_target


class _Epochs:
    """The timed part: the data, then epoch after epoch."""

    def __init__(
        self, job: Job, trainer: Trainer, metrics: list[EpochMetrics], log: RunLog, output: TextIOBase
    ) -> None:
        self._job, self._trainer, self._metrics, self._log, self._output = job, trainer, metrics, log, output
        self.snapshots = Snapshots(job.output_dir / "checkpoints", job.params, trainer, metrics)
        if distributed.is_first():
            self._steps = StepTable(job.output_dir, trainer.tally)

    def train(self, check: Callable[[], None]) -> bool:
        """Until the target or the last epoch; whether it was reached. `check` can end it between two steps."""

        def after_step() -> None:
            tally, begin = self._trainer.tally, time.perf_counter()
            if distributed.is_first():
                self._steps.after_step(tally)
            self.snapshots.after_step()
            tally.saving += time.perf_counter() - begin
            check()

        job, training = self._job, self._job.params.training
        train_set, val_set = _read(job.train_manifest, job.train_samples), _read(job.val_manifest, job.val_samples)
        self._trainer.use(self._usable(train_set), val_set)
        if job.snapshot and job.snapshot.train_set != self._trainer.train_set_digest:
            raise InputError(f"{job.train_manifest}: not the utterances that the checkpoint was trained on; name those")
        if job.snapshot and job.snapshot.val_set != self._trainer.val_set_digest:
            raise InputError(f"{job.val_manifest}: not the utterances that the run was evaluated on; name those")
        if training.evaluate_first and not self._metrics:
            self._evaluate(val_set, Tally(epoch=0), check)
        for epoch in range(self._metrics[-1].epoch + 1 if self._metrics else 1, training.epochs + 1):
            samples = epoch * job.train_samples
            _announce(job.params, epoch, self._output)
            with self._log.epoch(epoch, samples):
                tally = self._trainer.train_epoch(epoch, after_step)
            with self._log.evaluation(epoch, samples) as evaluation:
                wer = self._evaluate(val_set, tally, check)
                evaluation.accuracy(wer)
            if target_reached(wer, training.target_wer):
                return True
            if epoch < training.epochs:  # the last epoch is saved when the clock has stopped
                self.snapshots.after_evaluation()
        return False

    def _usable(self, utterances: Sequence[Utterance]) -> list[Utterance]:
        """The utterances with at least one CTC path that are not too long; the others are named in the log."""
        limit = self._job.params.data.longest_seconds or math.inf
        short = [each.id for each in utterances if self._trainer.output_frames(each) < ctc_frames(each.transcript)]
        long = [each.id for each in utterances if each.seconds > limit]
        left_out = {"too short for their transcripts": short, f"longer than {limit:g} s": long}
        for reason, names in left_out.items():
            if names:
                print(f"left out, {reason}: {len(names)} utterances: {' '.join(names)}", file=self._output)
        gone = {name for names in left_out.values() for name in names}
        if len(gone) == len(utterances):
            raise InputError(
                "every training utterance is too short for its transcript or longer than data.longest_seconds;"
                " check the manifest's texts"
            )
        return [utterance for utterance in utterances if utterance.id not in gone]

    def _evaluate(self, val_set: Sequence[Utterance], tally: Tally, check: Callable[[], None]) -> float:
        """Score val after an epoch, add a row to metrics.csv, print its line and some transcripts; returns the WER."""
        begin = time.perf_counter()
        evaluation = self._trainer.evaluate(val_set, check)
        total = evaluation.total
        row = EpochMetrics(
            epoch=tally.epoch,
            wer=total.wer,
            cer=total.cer,
            utterance_wer=total.utterance_wer,
            subset_wer={name: score.wer for name, score in evaluation.by_subset().items()},
            eval_seconds=time.perf_counter() - begin,
            **(tally.metrics() if tally.steps else {}),
        )
        self._metrics.append(row)
        if distributed.is_first():
            write_metrics(self._job.output_dir, self._metrics)
            if row.wer <= min(each.wer for each in self._metrics):
                write_rows(self._job.output_dir / UTTERANCES_NAME, evaluation)
        print(row.line(), file=self._output)
        print(row.timing(), file=sys.stderr)
        _show_transcripts(evaluation, self._job.params.training.sample_transcripts)
        return total.wer


def drop_caches() -> bool:
    """Empty this machine's page cache, so that data comes from the disk; whether that was permitted."""
    os.sync()  # what is not yet on the disk cannot be dropped
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="utf-8")
    except OSError:
        print("note: the page cache could not be dropped (not root); the log says so", file=sys.stderr)
        return False
    return True


def _announce(params: Params, epoch: int, output: TextIOBase) -> None:
    """Say which values change when a later stage of the recipe begins."""
    if params.stage(epoch) in params.stages and params.stage(epoch).first_epoch == epoch:
        values = {name: value for name, value in vars(params.stage(epoch)).items() if name != "first_epoch"}
        print(f"stage from epoch {epoch}: {json.dumps(values)}", file=output)


def _read(manifest: Path, samples: int) -> list[Utterance]:
    utterances = read_manifest(manifest)
    if len(utterances) != samples:
        raise InputError(
            f"{manifest}: {len(utterances)} utterances where counts.json says {samples}; prepare the dataset again"
        )
    return utterances


def _show_transcripts(evaluation: Evaluation, count: int) -> None:
    """Some references and hypotheses, spread over the lengths."""
    step = max(1, len(evaluation.utterances) // max(count, 1))
    for index in range(step // 2, len(evaluation.utterances), step)[:count]:
        print(f"  reference:  {evaluation.utterances[index].transcript}", file=sys.stderr)
        print(f"  hypothesis: {evaluation.hypotheses[index]}", file=sys.stderr)
