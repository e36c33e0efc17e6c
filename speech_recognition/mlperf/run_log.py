"""The MLLOG lines of a run, written in the order that the rules require; every start line gets its stop line.

    with RunLog(stream) as log:
        log.cache_cleared(False)
        with log.initialization(params, seed) as init:
            init.weights(shapes)
            init.dataset("mini", sha256)
        with log.run() as run:
            run.samples(train=281_241, evaluation=5_567)
            with log.epoch(1, consumed=0, samples=281_241):
                ...
            with log.evaluation(1, samples=281_241) as evaluation:
                evaluation.accuracy(wer=22.7)
            run.success()

If an error or an interrupt ends a block early, the log still ends with `run_stop` and status `aborted`. Lines that
mark time follow a barrier of all processes. Keys are the constants of mlperf_logging.mllog.constants 4.1.68, except
`dataset_checksum` and `resumed`, for which it has no constant; `described.py` has the lines of the parameters.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from mlperf_logging.mllog import constants

from speech_recognition.mlperf.described import described
from speech_recognition.mlperf.mllog_writer import MllogWriter, TextSink
from speech_recognition.parameters import Params
from speech_recognition.runtime import distributed


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

        The block builds the model, warms up, and logs the tensors. If it raises, there is no `init_stop`, since
        initialisation did not complete.
        """
        self._start(constants.INIT_START, {})
        # Before the block: a run that fails while it initialises has said what it was.
        for key, value, metadata in described(params, seed):
            self._point(key, value, metadata)
        yield Initialization(self)
        distributed.barrier()
        self._end(constants.INIT_STOP, {})

    @contextmanager
    def run(self) -> Iterator["Run"]:
        """Log `run_start`, run the timed block, then log `run_stop`: `aborted` unless the block called `success`.

        The block reads the data, which MLPerf times, and logs the sample counts before its first epoch.
        """
        self._start(constants.RUN_START, {})
        run = Run(self)
        yield run
        distributed.barrier()
        self._stop(constants.SUCCESS if run.reached_target else constants.ABORTED)

    @contextmanager
    def epoch(self, epoch: int, consumed: int, samples: int) -> Iterator[None]:
        """Log the start and the end of a training epoch around the block.

        Epochs count from 1; `consumed` and `samples` are the numbers of utterances trained on since the run's start, up
        to the block's start and up to its end.
        """
        start, stop = _position(epoch, consumed), _position(epoch, samples)
        with self._pair(constants.EPOCH_START, start, constants.EPOCH_STOP, stop):
            yield

    @contextmanager
    def evaluation(self, epoch: int, samples: int) -> Iterator["EvaluationLog"]:
        """Log the start and the end of the evaluation after an epoch; the block must call `accuracy` once.

        `epoch` and `samples` are those of the epoch before it.
        """
        place = _position(epoch, samples)
        with self._pair(constants.EVAL_START, place, constants.EVAL_STOP, place):
            evaluation = EvaluationLog(self, place)
            yield evaluation
            assert evaluation.logged, "an evaluation logs its accuracy"

    @contextmanager
    def _pair(self, start: str, begun: dict[str, object], stop: str, ended: dict[str, object]) -> Iterator[None]:
        """Log `start` with the metadata `begun`, run the block, then log `stop` with `ended`.

        If the block raises, `stop` has the place of the start and the status `aborted`.
        """
        self._start(start, begun)
        try:
            yield
        except BaseException:
            if not self._goes_on:
                self._end(stop, {**begun, constants.STATUS: constants.ABORTED})
            raise
        distributed.barrier()
        self._end(stop, ended)

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
    """Lines of the initialisation block: call `weights`, then `dataset` if it was verified."""

    def __init__(self, log: RunLog) -> None:
        self._log = log

    def weights(self, shapes: Mapping[str, Sequence[int]]) -> None:
        """Log a line for each initialised tensor of the model, whose shape is given by name in the model's order."""
        for index, (name, shape) in enumerate(shapes.items(), start=1):
            place: dict[str, object] = {"tensor": name, "index": index, "count": len(shapes), "shape": list(shape)}
            self._log._point(constants.WEIGHTS_INITIALIZATION, None, place)

    def dataset(self, name: str, sha256: str) -> None:
        """Log the name of the dataset that was verified before the run, and the SHA-256 of its tar stream in hex."""
        self._log._point("dataset_checksum", sha256, {"dataset": name})

    def resumed(self, epoch: int, steps: int) -> None:
        """Log that the run continues from a checkpoint, which was saved after `steps` steps of `epoch`."""
        self._log._point("resumed", True, {constants.EPOCH_NUM: epoch, "steps": steps})


class Run:
    """Timed part of a run."""

    def __init__(self, log: RunLog) -> None:
        self._log = log
        self.reached_target = False

    def samples(self, train: int, evaluation: int) -> None:
        """Log the numbers of utterances that each epoch trains on and that each evaluation scores."""
        self._log._point(constants.TRAIN_SAMPLES, train)
        self._log._point(constants.EVAL_SAMPLES, evaluation)

    def success(self) -> None:
        """Record that the target was reached, so that `run_stop` is logged with status `success`."""
        self.reached_target = True


class EvaluationLog:
    """Lines of an evaluation block."""

    def __init__(self, log: RunLog, position: dict[str, object]) -> None:
        """Begin the lines, which have `position` (the epoch) as their metadata."""
        self._log, self._position = log, position
        self.logged = False

    def accuracy(self, wer: float) -> None:
        """Log the word error rate of the evaluation set in percent (`eval_accuracy`)."""
        self._log._point(constants.EVAL_ACCURACY, wer, self._position)
        self.logged = True


def _position(epoch: int, samples: int) -> dict[str, object]:
    """Return the metadata that says how far the run is."""
    return {constants.EPOCH_NUM: epoch, constants.SAMPLES_COUNT: samples}
