"""The run, on one screen: initialise, start the clock, train epoch after epoch until the target."""

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing

from speech_recognition import settings
from speech_recognition.errors import WorkerError
from speech_recognition.evaluation import Evaluation, evaluate
from speech_recognition.mlperf.run_log import RunLog
from speech_recognition.parameters import Params
from speech_recognition.runs.folder import RunFolder
from speech_recognition.runs.log import Output, Silence
from speech_recognition.runs.metrics import TABLE_HEAD, EpochMetrics, best_of, write_metrics
from speech_recognition.runs.steps import StepTable
from speech_recognition.runs.tally import Tally
from speech_recognition.runs.utterances import write_utterances
from speech_recognition.runs.writer import CheckpointWriter
from speech_recognition.runtime import distributed
from speech_recognition.runtime.interruption import Stopped, between_steps
from speech_recognition.runtime.page_cache import drop_caches
from speech_recognition.scoring import target_reached
from speech_recognition.training.data import RunData, read_data
from speech_recognition.training.job import Job
from speech_recognition.training.pictures import draw_augmented
from speech_recognition.training.saving import SavePolicy
from speech_recognition.training.trainer import Trainer


def run(job: Job, output: Output | Silence) -> bool:
    """Train until the target or the last epoch; write the log, the checkpoints and the results.

    Returns whether the target was reached. Raises InputError for a fault in the data that shows only when it is read,
    DivergedError if the loss does not stay finite, Stopped after a signal, WorkerError if a process that reads data
    dies. In each of these cases the results hold every epoch that was evaluated, and the log ends with run_stop, unless
    torchrun will restart the processes.
    """
    training, folder = job.params.training, RunFolder(job.output_dir)
    metrics = [EpochMetrics(**row) for row in job.state.metrics] if job.state else []
    print(f"parameters: {json.dumps(settings.to_dict(job.params))}", file=output)
    with RunLog(output, goes_on=not job.launch.ends_the_run) as log:
        trainer = _initialize(job, log)
        output.show(TABLE_HEAD)
        # A signal after the last step waits for the last save.
        with between_steps() as check, CheckpointWriter() as writer:
            with log.run() as clock:
                # On the clock, as MLPerf asks: no manifest, recording or transcript is opened before run_start.
                data = read_data(job, trainer.recognizer, output)
                train_utterances = len(data.train_set.utterances)
                clock.samples(train=train_utterances, evaluation=len(data.val_set))
                trainer.read_noise()
                saves = SavePolicy(folder.checkpoints, trainer, metrics, data, writer)
                steps = StepTable(folder.steps, trainer.tally) if distributed.is_first() else None
                try:
                    if training.evaluate_first and not metrics:
                        _evaluate(trainer, data, Tally(epoch=0), metrics, folder, output, check)
                    for epoch in range(metrics[-1].epoch + 1 if metrics else 1, training.epochs + 1):
                        _announce_stage(job.params, epoch, output)
                        plan = data.train_set.plan(epoch)
                        consumed = (epoch - 1) * train_utterances + plan.utterances(trainer.steps_done(epoch))
                        with (
                            log.epoch(epoch, consumed, epoch * train_utterances),
                            closing(trainer.train(data.train_set, plan, check.held)) as tallies,
                        ):
                            for tally in tallies:
                                _after_step(tally, steps, saves)
                                check(trainer.signal)
                        with log.evaluation(epoch, epoch * train_utterances) as accuracy:
                            wer = _evaluate(trainer, data, trainer.tally, metrics, folder, output, check)
                            accuracy.accuracy(wer)
                        if target_reached(wer, training.target_wer):
                            clock.success()
                            break
                        if epoch < training.epochs:  # the last epoch is saved when the clock has stopped
                            saves.after_evaluation()
                    check()  # a signal since the last batch of the evaluation
                except (Stopped, WorkerError):
                    saves.before_the_end()
                    raise
            saves.after_evaluation()
        if not clock.reached_target:
            _report_miss(job.params, metrics, output)
        if job.params.augmentation.pictures and distributed.is_first():
            draw_augmented(folder.pictures, trainer.augmentation, data.train_set, trainer.tally.epoch)
    return clock.reached_target


def _initialize(job: Job, log: RunLog) -> Trainer:
    """Build and warm up the trainer, from a checkpoint if there is one, before the clock starts."""
    # True only if every machine dropped its cache; the other processes of a machine have nothing to drop.
    log.cache_cleared(all(distributed.gather(drop_caches() if job.launch.first_on_its_machine else True)))
    with log.initialization(job.params, job.seed) as init:
        trainer = Trainer(job.params, job.seed, job.device)
        trainer.warm_up(job.longest_train_seconds, job.longest_val_seconds)
        init.weights({name: tensor.shape for name, tensor in trainer.model.named_parameters()})
        if job.verified:
            init.dataset(job.verified.dataset, job.verified.sha256)
        # After the warm-up, which leaves a fresh optimizer.
        if job.state:
            trainer.restore(job.state)
        # A log that restarted processes continue is still the log of one run, which `resumed` would mark as two.
        if job.state and not job.launch.restarted:
            init.resumed(job.state.evaluated_epoch + 1, trainer.tally.steps)
    return trainer


def _after_step(tally: Tally, steps: StepTable | None, saves: SavePolicy) -> None:
    """Add a step to the table of steps, save the run if that is due, and add the time of both to the tally."""
    begin = time.perf_counter()
    if steps:
        steps.after_step(tally)
    saves.after_step()
    tally.saving += time.perf_counter() - begin


def _evaluate(
    trainer: Trainer,
    data: RunData,
    tally: Tally,
    metrics: list[EpochMetrics],
    folder: RunFolder,
    output: Output | Silence,
    check: Callable[[], None],
) -> float:
    """Return the WER on the validation set; add a row to `metrics`, write the tables and print the epoch's line."""
    begin = time.perf_counter()
    trainer.model.eval()
    evaluation = evaluate(trainer.recognizer, data.val_set, check)
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
    metrics.append(row)
    if distributed.is_first():
        write_metrics(folder.metrics, metrics)
        if best_of(metrics) is row:
            write_utterances(folder.utterances, evaluation)
    print(row.line(), file=output)
    # A terminal that shows the growing table of epochs is spared the timing and the transcripts.
    if not output.show(row.table_row()):
        print(row.timing(), file=sys.stderr)
        _show_transcripts(evaluation, trainer.params.training.sample_transcripts)
    return total.wer


def _announce_stage(params: Params, epoch: int, output: Output | Silence) -> None:
    """Print the values that change when a later stage of the recipe begins with `epoch`."""
    if params.stage(epoch) in params.stages and params.stage(epoch).first_epoch == epoch:
        values = {name: value for name, value in vars(params.stage(epoch)).items() if name != "first_epoch"}
        print(f"stage from epoch {epoch}: {json.dumps(values)}", file=output)


def _report_miss(params: Params, metrics: list[EpochMetrics], output: Output | Silence) -> None:
    """Print to the log that the target was missed, and the best epoch."""
    best = best_of(metrics)
    print(
        f"target {params.training.target_wer:g} not reached in {params.training.epochs} epochs:"
        f" the best WER is {best.wer:.2f}, of epoch {best.epoch}",
        file=output,
    )


def _show_transcripts(evaluation: Evaluation, count: int) -> None:
    """Print `count` references and hypotheses to standard error, spread evenly over the lengths of utterances."""
    step = max(1, len(evaluation.utterances) // max(count, 1))
    for index in range(step // 2, len(evaluation.utterances), step)[:count]:
        print(f"  reference:  {evaluation.utterances[index].transcript}", file=sys.stderr)
        print(f"  hypothesis: {evaluation.hypotheses[index]}", file=sys.stderr)
