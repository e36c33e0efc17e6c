"""The MLLOG lines of a run, written in the order that the rules require; every start line gets its stop line.

    with RunLog(stream) as log:
        log.cache_cleared(False)
        with log.initialization(params, seed) as init:
            init.weights(names)
            init.dataset("mini", sha256)
            init.samples(train=281_241, evaluation=5_567)
        with log.run() as run:
            with log.epoch(1, samples=281_241):
                ...
            with log.evaluation(1, samples=281_241) as evaluation:
                evaluation.accuracy(wer=22.7)
            run.success()

If an error or an interrupt ends a block early, the log still ends with `run_stop` and status `aborted`. Lines that
mark time follow a barrier of all processes. Keys are the constants of mlperf_logging.mllog.constants 4.1.68, except
`opt_momentum` (the name in the official rules), `data_order`, `dataset_checksum`, `resumed`, and the keys of tempo,
gain and noise, for which it has no constant.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from mlperf_logging.mllog import constants

from params import AugmentationParams, OptimizerParams, Params
from speech_recognition.mlperf.mllog_writer import MllogWriter, TextSink
from speech_recognition.runtime import distributed

BENCHMARK = "deepspeech2"
"""Value of `submission_benchmark`."""

_PRECISIONS = {"fp32": "fp32", "tf32": "tf32", "bf16": "bfloat16"}
"""MLPerf's name of each value of `model.precision`."""

_Line = tuple[str, object, dict[str, object]]
"""Key, value and metadata of a line."""


class RunLog:
    """Log of one run on a text stream; use it as a context manager.

    If the block ends before `run_stop` was written, it writes one with status `aborted`. An empty log stays empty.
    """

    def __init__(self, stream: TextSink, goes_on: bool = False) -> None:
        """Write to `stream`. With `goes_on`, a failure leaves the log open: restarted processes continue it."""
        self._writer = MllogWriter(stream)
        self._goes_on = goes_on
        self._open = self._begun = False

    def __enter__(self) -> Self:
        """Open the log for lines."""
        self._open = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Log `run_stop` with status `aborted` if the block left the log open."""
        if self._open and self._begun and not self._goes_on:
            self._stop(constants.ABORTED)
        self._open = False

    def cache_cleared(self, cleared: bool) -> None:
        """Log whether the operating system's file cache was dropped before the run."""
        self._point(constants.CACHE_CLEAR, cleared)

    @contextmanager
    def initialization(self, params: Params, seed: int) -> Iterator["Initialization"]:
        """Log `init_start` and the parameters, run the block, then log `init_stop`.

        The block builds the model, warms up, and logs the tensors and the sample counts. If it raises, there is no
        `init_stop`, since initialisation did not complete.
        """
        self._start(constants.INIT_START, {})
        # Before the block: a run that fails while it initialises has said what it was.
        for key, value, metadata in _described(params, seed):
            self._point(key, value, metadata)
        yield Initialization(self)
        distributed.barrier()
        self._end(constants.INIT_STOP, {})

    @contextmanager
    def run(self) -> Iterator["Run"]:
        """Log `run_start`, run the timed block, then log `run_stop`: `aborted` unless the block called `success`."""
        self._start(constants.RUN_START, {})
        run = Run()
        yield run
        distributed.barrier()
        self._stop(constants.SUCCESS if run.reached_target else constants.ABORTED)

    @contextmanager
    def epoch(self, epoch: int, samples: int) -> Iterator[None]:
        """Log the start and the end of a training epoch around the block.

        Epochs count from 1; `samples` is the number of utterances trained on since the start, up to this epoch's end.
        """
        with self._pair(constants.EPOCH_START, constants.EPOCH_STOP, _position(epoch, samples)):
            yield

    @contextmanager
    def evaluation(self, epoch: int, samples: int) -> Iterator["EvaluationLog"]:
        """Log the start and the end of the evaluation after an epoch; the block must call `accuracy` once.

        `epoch` and `samples` are those of the epoch before it.
        """
        with self._pair(constants.EVAL_START, constants.EVAL_STOP, _position(epoch, samples)):
            evaluation = EvaluationLog(self, _position(epoch, samples))
            yield evaluation
            assert evaluation.logged, "an evaluation logs its accuracy"

    @contextmanager
    def _pair(self, start: str, stop: str, metadata: dict[str, object]) -> Iterator[None]:
        """Log `start`, run the block, then log `stop`; if the block raises, `stop` has the status `aborted`."""
        self._start(start, metadata)
        try:
            yield
        except BaseException:
            if not self._goes_on:
                self._end(stop, {**metadata, constants.STATUS: constants.ABORTED})
            raise
        distributed.barrier()
        self._end(stop, metadata)

    def _stop(self, status: str) -> None:
        """Log `run_stop` and end the log: no MLLOG line may follow."""
        self._end(constants.RUN_STOP, {constants.STATUS: status})
        self._open = False

    def _point(self, key: str, value: object, metadata: dict[str, object] | None = None) -> None:
        self._write(constants.POINT_IN_TIME, key, value, metadata or {})

    def _start(self, key: str, metadata: dict[str, object]) -> None:
        distributed.barrier()
        self._write(constants.INTERVAL_START, key, None, metadata)

    def _end(self, key: str, metadata: dict[str, object]) -> None:
        # No barrier here: after a failure the other processes may have ended, and a barrier would wait for them.
        self._write(constants.INTERVAL_END, key, None, metadata)

    def _write(self, event: str, key: str, value: object, metadata: dict[str, object]) -> None:
        assert self._open, f"{key} outside the log's block or after run_stop"
        self._begun = True
        self._writer.write(event, key, value, metadata)


class Initialization:
    """Lines of the initialisation block: call `weights`, then `dataset` if it was verified, then `samples`."""

    def __init__(self, log: RunLog) -> None:
        self._log = log

    def weights(self, names: Sequence[str]) -> None:
        """Log a line for each initialised tensor of the model, in the model's order."""
        for index, name in enumerate(names, start=1):
            self._log._point(
                constants.WEIGHTS_INITIALIZATION, None, {"tensor": name, "index": index, "count": len(names)}
            )

    def dataset(self, name: str, sha256: str) -> None:
        """Log the name of the dataset that was verified before the run, and the SHA-256 of its tar stream in hex."""
        self._log._point("dataset_checksum", sha256, {"dataset": name})

    def samples(self, train: int, evaluation: int) -> None:
        """Log the number of utterances in the training set and in the evaluation set."""
        self._log._point(constants.TRAIN_SAMPLES, train)
        self._log._point(constants.EVAL_SAMPLES, evaluation)

    def resumed(self, epoch: int, steps: int) -> None:
        """Log that the run continues from a checkpoint, which was saved after `steps` steps of `epoch`."""
        self._log._point("resumed", True, {constants.EPOCH_NUM: epoch, "steps": steps})


@dataclass
class Run:
    """Timed part of a run."""

    reached_target: bool = False
    """True once `success` was called."""

    def success(self) -> None:
        """Record that the target was reached, so that `run_stop` is logged with status `success`."""
        self.reached_target = True


class EvaluationLog:
    """Lines of an evaluation block."""

    def __init__(self, log: RunLog, position: dict[str, object]) -> None:
        self._log, self._position = log, position
        self.logged = False

    def accuracy(self, wer: float) -> None:
        """Log the word error rate of the evaluation set in percent (`eval_accuracy`)."""
        self._log._point(constants.EVAL_ACCURACY, wer, self._position)
        self.logged = True


def _position(epoch: int, samples: int) -> dict[str, object]:
    """Return the metadata that says how far the run is."""
    return {constants.EPOCH_NUM: epoch, constants.SAMPLES_COUNT: samples}


def _described(params: Params, seed: int) -> Iterator[_Line]:
    """Yield key, value and metadata of the lines that describe the submission and its hyperparameters."""
    plain: dict[str, object] = {
        constants.SUBMISSION_BENCHMARK: BENCHMARK,
        constants.SUBMISSION_DIVISION: params.submission.division,
        constants.SUBMISSION_ORG: params.submission.org,
        constants.SUBMISSION_PLATFORM: params.submission.platform,
        constants.SUBMISSION_STATUS: params.submission.status,
        constants.LOWEST_NUMERICAL_PRECISION_IN_LINEAR: _PRECISIONS[params.model.precision],
        # The model has no attention, but the 6.1.0 rules require this key.
        constants.LOWEST_NUMERICAL_PRECISION_IN_ATTN: _PRECISIONS[params.model.precision],
        # Processes exchange gradients in the dtype of the weights, whatever the precision of the products.
        constants.LOWEST_NUMERICAL_PRECISION_IN_COMM: "fp32",
        constants.TENSOR_PARALLELISM: 1,
        constants.PIPELINE_PARALLELISM: 1,
        constants.CONTEXT_PARALLELISM: 1,
        constants.EXPERT_PARALLELISM: 1,
        constants.MICRO_BATCH_SIZE: params.data.batch_size // (params.data.accumulation_steps * distributed.size()),
        constants.CONFIG_FILENAME: f"params.py:{params.preset}",
        constants.SEED: seed,
        constants.GLOBAL_BATCH_SIZE: params.data.batch_size,
        constants.GRADIENT_ACCUMULATION_STEPS: params.data.accumulation_steps,
    }
    yield from ((key, value, {}) for key, value in plain.items())
    yield from _optimizer(params.optimizer)
    yield from _schedule(params.optimizer, params.training.epochs)
    yield "data_order", params.data.order, {}
    if params.data.longest_seconds:
        yield constants.DATA_TRAIN_MAX_DURATION, params.data.longest_seconds, {}
    yield from _augmentation(params.augmentation)


def _optimizer(params: OptimizerParams) -> Iterator[_Line]:
    """Yield the lines of the optimizer, except its schedule."""
    yield constants.OPT_NAME, params.name, {"nesterov": True} if params.name == "sgd" else {}
    yield constants.OPT_BASE_LR, params.learning_rate, {}
    # MLPerf names the same quantity differently for each optimizer, such as opt_adam_beta_1 and opt_adamw_beta_1.
    if params.name == "sgd":
        yield "opt_momentum", params.momentum, {}
        yield constants.OPT_WEIGHT_DECAY, params.weight_decay, {}
    elif params.name == "adam":
        yield constants.OPT_ADAM_BETA_1, params.beta1, {}
        yield constants.OPT_ADAM_BETA_2, params.beta2, {}
        yield constants.OPT_ADAM_EPSILON, params.epsilon, {}
        yield constants.OPT_WEIGHT_DECAY, params.weight_decay, {}
    else:
        yield constants.OPT_ADAMW_BETA_1, params.beta1, {}
        yield constants.OPT_ADAMW_BETA_2, params.beta2, {}
        yield constants.OPT_ADAMW_EPSILON, params.epsilon, {}
        yield constants.OPT_ADAMW_WEIGHT_DECAY, params.weight_decay, {}
    yield constants.OPT_GRADIENT_CLIP_NORM, params.clip_norm, {}


def _augmentation(params: AugmentationParams) -> Iterator[_Line]:
    """Yield the lines of the augmentations that are in use."""
    if params.changes_tempo:
        yield "data_tempo_perturbation_min", params.tempo_min, {}
        yield "data_tempo_perturbation_max", params.tempo_max, {}
    if params.changes_speed:
        yield constants.DATA_SPEED_PERTURBATON_MIN, params.speed_min, {}
        yield constants.DATA_SPEED_PERTURBATON_MAX, params.speed_max, {}
    if (params.gain_min_db, params.gain_max_db) != (0.0, 0.0):
        yield "data_gain_min_db", params.gain_min_db, {}
        yield "data_gain_max_db", params.gain_max_db, {}
    if params.noise_folder:
        yield "data_noise_probability", params.noise_probability, {}
        yield "data_noise_min_db", params.noise_min_db, {}
        yield "data_noise_max_db", params.noise_max_db, {}
    if params.frequency_masks:
        yield constants.DATA_SPEC_AUGMENT_FREQ_N, params.frequency_masks, {}
        yield constants.DATA_SPEC_AUGMENT_FREQ_MIN, params.frequency_mask_min, {}
        yield constants.DATA_SPEC_AUGMENT_FREQ_MAX, params.frequency_mask_max, {}
    if params.time_masks:
        yield constants.DATA_SPEC_AUGMENT_TIME_N, params.time_masks, {}
        yield constants.DATA_SPEC_AUGMENT_TIME_MIN, params.time_mask_min, {}
        yield constants.DATA_SPEC_AUGMENT_TIME_MAX, params.time_mask_max, {}


def _schedule(params: OptimizerParams, epochs: int) -> Iterator[_Line]:
    """Yield the lines of the learning rate's schedule over `epochs` epochs."""
    yield constants.OPT_LR_DECAY_SCHEDULE, params.schedule, {"epochs": epochs}
    if params.schedule == "anneal":
        # MLPerf's decay factor multiplies the rate (0.1 in its detection benchmarks); the 2018 reference divides by its
        # own, so the log has the inverse.
        yield constants.OPT_LR_DECAY_FACTOR, 1 / params.anneal_factor, {"anneal_factor": params.anneal_factor}
    elif params.schedule == "one_cycle":
        yield constants.OPT_LR_WARMUP_EPOCHS, params.warmup_fraction * epochs, {}
        yield constants.OPT_END_LR, 0.0, {}
    else:
        yield constants.OPT_LR_WARMUP_STEPS, params.warmup_steps, {}
        yield constants.OPT_END_LR, params.end_learning_rate, {}
