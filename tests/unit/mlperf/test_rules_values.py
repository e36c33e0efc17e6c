"""Tests of the closed and open rules for values, counts and times, and of their differences."""

import math
from typing import Any

import pytest

import params
from speech_recognition import settings
from speech_recognition.parameters import Params
from tests.unit.mlperf.conftest import CLOSED, MINI

SCHEDULE = "opt_learning_rate_decay_schedule"
LAMB = settings.apply(params.mini(), ["optimizer.name=lamb"])


def messages(violations: list[Any]) -> list[str]:
    return [violation.message for violation in violations]


@pytest.mark.parametrize("preset", CLOSED)
def test_good_logs_are_compliant(preset: str, good_log: Any, check: Any) -> None:
    assert check(good_log(preset), "closed") == []
    assert check(good_log(preset), "open") == [], "a closed log keeps the open rules as well"
    assert check(good_log(preset, division="open"), "open") == []


def test_one_epoch_is_enough_and_a_wer_may_pass_100(good_log: Any, check: Any) -> None:
    assert check(good_log(wers=[0])) == []
    assert check(good_log(wers=[187.5, 100, 23.0001, 22])) == []


@pytest.mark.parametrize("division", ["closed", "open"])
@pytest.mark.parametrize("wers", [[23.0001], [60.0, math.nextafter(23, 24)], [90.0, 89.0, 88.0]])
def test_a_wer_above_the_target_under_success_is_refused(
    wers: list[float], division: str, good_log: Any, check: Any
) -> None:
    found = check(good_log(wers=wers, division=division), division)
    assert messages(found) == ["run_stop: the last evaluation is above the target"]


@pytest.mark.parametrize("wer", [math.nan, math.inf, -math.inf, -0.1, "22.0", None, True, [22.0]])
@pytest.mark.parametrize("which", [0, 1])
def test_a_wer_that_is_no_number_is_refused(wer: object, which: int, good_log: Any, check: Any) -> None:
    found = check(good_log().edited("eval_accuracy", which, value=wer))
    assert "eval_accuracy: the value is not a number from 0" in messages(found)


def test_a_run_that_goes_on_after_the_target_is_refused(good_log: Any, check: Any) -> None:
    assert messages(check(good_log(wers=[22.0, 21.0]))) == ["epoch_start: an epoch after the target was reached"]


def test_the_closed_division_allows_ten_epochs(good_log: Any, check: Any) -> None:
    assert check(good_log(wers=[50.0] * 9 + [22.0])) == []
    late = good_log(wers=[50.0] * 10 + [22.0])
    assert messages(check(late)) == ["epoch_start: more epochs than the division allows"]
    assert check(late, "open") == []


@pytest.mark.parametrize("status", ["aborted", "Success", "", None])
@pytest.mark.parametrize("division", ["closed", "open"])
def test_only_success_is_scored(status: object, division: str, good_log: Any, check: Any) -> None:
    lines = good_log(division=division).edited("run_stop", metadata={"status": status})
    assert messages(check(lines, division)) == ["run_stop: the run did not end with success"]


@pytest.mark.parametrize(
    ("key", "which", "metadata", "message"),
    [
        ("epoch_start", 0, {"epoch_num": 0}, "epochs are not numbered one by one from 1"),
        ("epoch_start", 1, {"epoch_num": 3}, "epochs are not numbered one by one from 1"),
        ("epoch_stop", 1, {"epoch_num": 1}, "epoch_num is not that of the preceding epoch_start"),
        ("eval_start", 0, {"epoch_num": 2}, "epoch_num is not that of the preceding epoch_start"),
        ("eval_accuracy", 1, {"epoch_num": None}, "epoch_num is not that of the preceding epoch_start"),
        ("eval_stop", 1, {"epoch_num": 3}, "epoch_num is not that of the preceding epoch_start"),
        ("eval_accuracy", 1, {"samples_count": None}, "samples_count is not a whole number, or went back"),
        ("eval_stop", 1, {"samples_count": MINI[0] - 1}, "samples_count is not a whole number, or went back"),
        ("epoch_start", 0, {"samples_count": MINI[0]}, "samples_count is not what the epochs before consumed"),
        ("epoch_start", 1, {"samples_count": 2 * MINI[0]}, "samples_count is not what the epochs before consumed"),
        ("weights_initialization", 1, {"index": 1}, "a tensor before this one is missing or doubled"),
        ("weights_initialization", 2, {"count": 4}, "the count of tensors changed"),
        ("weights_initialization", 0, {"tensor": ""}, "the tensor has no name"),
        ("weights_initialization", 0, {"shape": [0, 3]}, "the shape is not a list of whole numbers from 1"),
        ("weights_initialization", 0, {"shape": 3}, "the shape is not a list of whole numbers from 1"),
    ],
)
def test_wrong_metadata_are_refused(
    key: str, which: int, metadata: dict[str, Any], message: str, good_log: Any, check: Any
) -> None:
    assert f"{key}: {message}" in messages(check(good_log().edited(key, which, metadata)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("cache_clear", "yes"),
        ("submission_benchmark", "rnnt"),
        ("submission_org", " "),
        ("submission_status", "available"),
        ("lowest_numerical_precision_in_comm", "float32"),
        ("expert_parallelism", 0),
        ("config_filename", None),
        ("seed", "random"),
        ("global_batch_size", 0),
        ("gradient_accumulation_steps", 1.5),
        ("opt_base_learning_rate", math.nan),
        ("opt_learning_rate_warmup_epochs", -1),
        ("data_order", ""),
        ("train_samples", "3600"),
    ],
)
@pytest.mark.parametrize("division", ["closed", "open"])
def test_wrong_values_are_refused(key: str, value: object, division: str, good_log: Any, check: Any) -> None:
    lines = good_log(division=division)
    line = 1 + next(index for index, name, _ in lines.records() if name == key)
    found = check(lines.edited(key, value=value), division)
    assert any(violation.line == line and violation.message.startswith(f"{key}: ") for violation in found)


@pytest.mark.usefixtures("rules_read_once")
def test_clocks_that_go_back_are_refused(good_log: Any, check: Any) -> None:
    good = good_log()
    for key in {key for _, key, _ in good.records()} - {"cache_clear"}:
        assert f"{key}: the clock went back" in messages(check(good.edited(key, time_ms=1))), key
    assert "run_stop: the clock went back" in messages(check(good.edited("run_stop", time_ms=math.inf)))


@pytest.mark.parametrize(("division", "minutes"), [("closed", 30), ("open", 240)])
def test_initialisation_has_a_limit(division: str, minutes: int, good_log: Any, check: Any) -> None:
    good = good_log(division=division)
    stop = next(record["time_ms"] for _, key, record in good.records() if key == "init_stop")

    def lasting(milliseconds: int) -> Any:
        lines = good.edited("cache_clear", time_ms=0)
        return lines.edited("init_start", time_ms=stop - milliseconds)

    assert check(lasting(minutes * 60_000 - 1), division) == []
    found = check(lasting(minutes * 60_000), division)
    assert messages(found) == ["init_stop: initialisation took longer than the division allows"]


@pytest.mark.parametrize("value", ["", "ead2", "X" * 64, 5, None, ["0"] * 64])
def test_a_checksum_has_64_hex_digits(value: object, good_log: Any, check: Any) -> None:
    for division in ("closed", "open"):
        found = check(good_log("reference").edited("dataset_checksum", value=value), division)
        assert messages(found) == ["dataset_checksum: the value is not a SHA-256 in hex"]


@pytest.mark.parametrize(
    ("preset", "key", "value", "message"),
    [
        ("mini", "opt_name", "sgd", "opt_adamw_beta_1: opt_name is not adamw"),
        ("mlperf_2018", "opt_name", "adamw", "opt_momentum: opt_name is not sgd"),
        ("mini", SCHEDULE, "anneal", "opt_learning_rate_warmup_epochs: the schedule is not one_cycle"),
        ("tensorflow", "opt_name", "adamw", "opt_adam_beta_1: opt_name is not adam"),
        (LAMB, "opt_name", "adamw", "opt_lamb_beta_1: opt_name is not lamb"),
        ("reference", SCHEDULE, "anneal", "opt_learning_rate_warmup_steps: the schedule is not warmup_cosine"),
        ("mlperf_2018", SCHEDULE, "flat", "opt_learning_rate_decay_factor: the schedule is not anneal"),
    ],
)
def test_the_lines_of_optimizer_and_schedule_go_with_their_names(
    preset: str | Params, key: str, value: str, message: str, good_log: Any, check: Any
) -> None:
    found = check(good_log(preset, division="open").edited(key, value=value), "open")
    assert messages(found) == [message]


@pytest.mark.parametrize("preset", params.PRESETS)
@pytest.mark.usefixtures("rules_read_once")
def test_optimizer_values_are_sound_in_the_open_division_too(preset: str, good_log: Any, check: Any) -> None:
    good = good_log(preset, division="open")
    keys = {key for _, key, _ in good.records() if key.startswith("opt_")}
    for key in keys:
        for value in (math.nan, -1, None, [1]):
            assert f"{key}: the value is not a n" in "".join(messages(check(good.edited(key, value=value), "open"))), (
                key
            )


@pytest.mark.parametrize("preset", params.PRESETS)
def test_every_presets_log_passes_the_rules_of_its_division(preset: str, good_log: Any, check: Any) -> None:
    division = params.PRESETS[preset]().submission.division
    assert division == ("closed" if preset in CLOSED else "open")
    assert check(good_log(preset, division=division), division) == []


def test_a_resumed_log_begins_within_an_epoch(good_log: Any, check: Any) -> None:
    """Only behind a `resumed` line may an epoch begin with utterances that no epoch of the log consumed."""
    lines = good_log(division="open").edited("epoch_start", metadata={"samples_count": 640})
    assert messages(check(lines, "open")) == ["epoch_start: samples_count is not what the epochs before consumed"]
    last = "weights_initialization"
    assert check(lines.with_line(last, "resumed", True).edited("resumed", metadata={"epoch_num": 1}), "open") == []
