"""Tests of RunLog: a run's lines are in order, and its intervals are closed whatever happens."""

import contextlib
import inspect
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import params
from speech_recognition.mlperf.run_log import RunLog
from tests.unit.mlperf.conftest import MINI

STAGES = [
    "cache",
    "start of init",
    "end of init",
    "between",
    "start of run",
    "epoch",
    "after epoch",
    "evaluation",
    "end",
]
HEAD = [
    "cache_clear", "init_start",
    "submission_benchmark", "submission_division", "submission_org", "submission_platform", "submission_status",
    "lowest_numerical_precision_in_linear", "lowest_numerical_precision_in_attn", "lowest_numerical_precision_in_comm",
    "tensor_parallelism", "pipeline_parallelism", "context_parallelism", "expert_parallelism",
    "micro_batch_size", "config_filename", "seed", "global_batch_size", "gradient_accumulation_steps",
]  # fmt: skip
ADAMW = [
    "opt_name", "opt_base_learning_rate", "opt_adamw_beta_1", "opt_adamw_beta_2", "opt_adamw_epsilon",
    "opt_adamw_weight_decay", "opt_gradient_clip_norm",
]  # fmt: skip
COSINE = [
    "opt_learning_rate_decay_schedule", "opt_learning_rate_warmup_steps", "opt_end_learning_rate", "data_order"
]  # fmt: skip
AUGMENTATION = ["data_tempo_perturbation_min", "data_tempo_perturbation_max", "data_gain_min_db", "data_gain_max_db"]
EPOCH = ["epoch_start", "epoch_stop", "eval_start", "eval_accuracy", "eval_stop"]


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix(":::MLLOG ")) for line in stream.getvalue().splitlines()]


def write_run(stream: io.StringIO, reach: Callable[[str], None]) -> None:
    """Log a run of one successful epoch, and call `reach` at each stage."""
    with RunLog(stream) as log:
        log.cache_cleared(True)
        reach("cache")
        with log.initialization(params.mini(), seed=1) as init:
            reach("start of init")
            init.weights({"w": [2, 3]})
            reach("end of init")
        reach("between")
        with log.run() as run:
            reach("start of run")
            run.samples(3_600, 300)
            with log.epoch(1, consumed=0, samples=3_600):
                reach("epoch")
            reach("after epoch")
            with log.evaluation(1, samples=3_600) as evaluation:
                reach("evaluation")
                evaluation.accuracy(20.0)
            run.success()
            reach("end")


def test_the_order_is_that_of_the_interface(good_log: Any) -> None:
    keys = [key for _, key, _ in good_log("reference", wers=[50, 20]).records()]
    tail = ["dataset_checksum", "init_stop", "run_start", "train_samples", "eval_samples", *EPOCH, *EPOCH, "run_stop"]
    assert keys == HEAD + ADAMW + COSINE + AUGMENTATION + ["weights_initialization"] * 23 + tail


def test_the_log_states_cache_samples_and_result(good_log: Any) -> None:
    values = {key: record["value"] for _, key, record in good_log("mini").records()}
    keys = ("cache_clear", "train_samples", "eval_samples", "eval_accuracy")
    assert [values[key] for key in keys] == [True, *MINI, 23.0]


def test_metadata_tell_epoch_samples_and_tensors(good_log: Any) -> None:
    found = [(key, record["metadata"]) for _, key, record in good_log().records()]
    epochs = [(metadata["epoch_num"], metadata["samples_count"]) for key, metadata in found if key in EPOCH]
    assert epochs == [(1, 0), *[(1, MINI[0])] * 4, (2, MINI[0]), *[(2, 2 * MINI[0])] * 4]
    tensors = [metadata for key, metadata in found if key == "weights_initialization"]
    assert [entry["index"] for entry in tensors] == [*range(1, 30)] and {entry["count"] for entry in tensors} == {29}
    assert (tensors[-1]["tensor"], tensors[-1]["shape"]) == ("linear.weight", [29, 192])


def test_lines_have_the_callers_file_and_line() -> None:
    stream = io.StringIO()
    frame = inspect.currentframe()
    assert frame
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(RunLog(stream))
        first = frame.f_lineno + 1
        log.cache_cleared(True)
        init = stack.enter_context(log.initialization(params.mini(), seed=1))
        init.weights({"w": [2, 3]})
        stack.pop_all()
    places = {record["key"]: record["metadata"] for record in records(stream)}
    assert {entry["file"] for entry in places.values()} == {"tests/unit/mlperf/test_run_log.py"}
    lines = [places[key]["lineno"] for key in ("cache_clear", "init_start", "seed", "weights_initialization")]
    assert lines == [first, first + 1, first + 1, first + 2]


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), SystemExit(143)], ids=repr)
def test_whatever_is_raised_the_log_ends_aborted(stage: str, error: BaseException, check: Any) -> None:
    def reach(name: str) -> None:
        if name == stage:
            raise error

    stream = io.StringIO()
    with pytest.raises(type(error)):
        write_run(stream, reach)
    found = records(stream)
    keys = [record["key"] for record in found]
    assert (keys[-1], found[-1]["metadata"]["status"]) == ("run_stop", "aborted")
    assert keys.count("run_stop") == 1
    assert ("init_stop" in keys) == (STAGES.index(stage) > STAGES.index("end of init"))
    assert keys.count("epoch_start") == keys.count("epoch_stop")
    assert keys.count("eval_start") == keys.count("eval_stop")
    cut_short = [record["key"] for record in found[:-1] if record["metadata"].get("status") == "aborted"]
    assert cut_short == {"epoch": ["epoch_stop"], "evaluation": ["eval_stop"]}.get(stage, [])
    assert check(stream.getvalue().splitlines())


def test_a_run_that_misses_the_target_is_aborted(check: Any) -> None:
    stream = io.StringIO()
    with RunLog(stream) as log, log.run():
        pass
    assert [(r["key"], r["metadata"].get("status")) for r in records(stream)] == [
        ("run_start", None), ("run_stop", "aborted")
    ]  # fmt: skip


def test_an_error_after_the_run_leaves_its_success() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError), RunLog(stream) as log:
        with log.run() as run:
            run.success()
        raise ValueError
    assert [record["metadata"].get("status") for record in records(stream)] == [None, "success"]


def test_a_log_without_a_line_stays_empty() -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError), RunLog(stream):
        raise ValueError
    assert stream.getvalue() == ""


def test_lines_outside_the_log_and_evaluations_without_result_are_mistakes() -> None:
    stream = io.StringIO()
    with pytest.raises(AssertionError, match="cache_clear outside"):
        RunLog(stream).cache_cleared(True)
    with RunLog(stream) as log:
        with log.run():
            pass
        with pytest.raises(AssertionError, match="after run_stop"):
            log.cache_cleared(True)
    with pytest.raises(AssertionError, match="logs its accuracy"), RunLog(stream) as log, log.evaluation(1, samples=1):
        pass


def test_a_log_with_which_other_processes_go_on_stays_open() -> None:
    stream = io.StringIO()
    with contextlib.suppress(KeyboardInterrupt), RunLog(stream, goes_on=True) as log, log.run(), log.epoch(1, 0, 5):
        raise KeyboardInterrupt
    assert [record["key"] for record in records(stream)] == ["run_start", "epoch_start"]
    stream = io.StringIO()
    with RunLog(stream, goes_on=True) as log, log.run():
        pass
    assert [record["key"] for record in records(stream)] == ["run_start", "run_stop"]


def test_times_do_not_go_back_with_the_wall_clock(monkeypatch: pytest.MonkeyPatch, good_log: Any) -> None:
    def backwards(clock: float) -> Iterator[float]:
        while True:
            clock -= 3_600
            yield clock

    now = time.time()
    seconds, nanoseconds = backwards(now), backwards(now)
    monkeypatch.setattr(time, "time", lambda: next(seconds))
    monkeypatch.setattr(time, "time_ns", lambda: int(next(nanoseconds) * 1e9))
    times = [record["time_ms"] for _, _, record in good_log().records()]
    assert times == sorted(times)


def test_each_log_writes_to_its_own_stream_alone(capsys: pytest.CaptureFixture[str], caplog: Any) -> None:
    handlers = {name: list(logging.getLogger(name).handlers) for name in ("", "mllog_default")}
    first, second = io.StringIO(), io.StringIO()
    with RunLog(first) as one, RunLog(second) as two:
        one.cache_cleared(True)
        two.cache_cleared(False)
        assert [len(records(stream)) for stream in (first, second)] == [1, 1]
    assert {name: logging.getLogger(name).handlers for name in handlers} == handlers
    assert (tuple(capsys.readouterr()), caplog.records) == (("", ""), [])
