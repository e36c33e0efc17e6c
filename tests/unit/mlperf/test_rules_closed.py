"""A table of damaged logs: the closed rules refuse each with its reason, the open rules those that no run may have."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from tests.unit.mlperf.conftest import MINI, MINI_SHA256, LogLines


class Case(NamedTuple):
    """Damage to a good log."""

    name: str
    damage: Callable[[LogLines], LogLines]
    reason: str
    """Violation of the closed rules that must be among those found."""
    preset: str = "mini"
    open: bool = True
    """True if the open rules accept the log with the same damage."""


def value(key: str, new: object, **more: object) -> Callable[[LogLines], LogLines]:
    """Return the damage that sets the value of a key, and of more keys."""

    def damage(lines: LogLines) -> LogLines:
        for name, each in {key: new, **more}.items():
            lines = lines.edited(name, value=each)
        return lines

    return damage


def metadata(key: str, which: int = 0, **entries: object) -> Callable[[LogLines], LogLines]:
    return lambda lines: lines.edited(key, which, metadata=entries)


def added(after: str, **values: object) -> Callable[[LogLines], LogLines]:
    """Return the damage that adds lines behind the line of a key."""

    def damage(lines: LogLines) -> LogLines:
        place = after
        for key, each in values.items():
            lines, place = lines.with_line(place, key, each), key
        return lines

    return damage


def removed(*keys: str) -> Callable[[LogLines], LogLines]:
    return lambda lines: LogLines(line for line in lines if not any(f'"key": "{key}"' in line for key in keys))


def renamed(**keys: str) -> Callable[[LogLines], LogLines]:
    """Return the damage that changes keys to others."""

    def damage(lines: LogLines) -> LogLines:
        for key, new in keys.items():
            lines = lines.edited(key, key=new)
        return lines

    return damage


def relabelled(name: str) -> Callable[[LogLines], LogLines]:
    return value("submission_benchmark", name)


def one_tensor(lines: LogLines) -> LogLines:
    """Return the lines with the first of the tensors alone, which says that it is the only one."""
    first = next(line for line in lines if "weights_initialization" in line)
    kept = LogLines(line for line in lines if "weights_initialization" not in line or line == first)
    return kept.edited("weights_initialization", metadata={"count": 1})


def another_size(lines: LogLines) -> LogLines:
    return lines.edited("weights_initialization", 28, metadata={"shape": [29, 190]})


def ten_more_epochs(lines: LogLines) -> LogLines:
    return lines.edited("opt_learning_rate_decay_schedule", metadata={"epochs": 20})


NO_LINE = "a closed log of this benchmark has no such line"
SCHEDULE = "opt_learning_rate_decay_schedule"
FREQUENCY = {"data_spec_augment_freq_n": 2, "data_spec_augment_freq_min": 0, "data_spec_augment_freq_max": 20}
TIME = {"data_spec_augment_time_n": 10, "data_spec_augment_time_min": 0.0, "data_spec_augment_time_max": 0.03}
GAIN = {"data_gain_min_db": -6.0, "data_gain_max_db": 8.0}
NOISE = {"data_noise_probability": 0.4, "data_noise_min_db": 5.0, "data_noise_max_db": 25.0}
LAMB = {f"opt_adamw_{name}": f"opt_lamb_{name}" for name in ("beta_1", "beta_2", "epsilon")}
ADAM = {f"opt_adamw_{name}": f"opt_adam_{name}" for name in ("beta_1", "beta_2", "epsilon")}

CASES = [
    Case("cache", value("cache_clear", False), "cache_clear: must be true"),
    Case("cache as a number", value("cache_clear", 1), "cache_clear: must be true", open=False),
    Case("order", value("data_order", "whatever"), "data_order: must be batch_shuffle"),
    Case("ascending", value("data_order", "ascending"), "data_order: must be buckets", "reference"),
    Case("frequency masks", added("data_order", **FREQUENCY), f"data_spec_augment_freq_n: {NO_LINE}"),
    Case("time masks", added("data_gain_max_db", **TIME), f"data_spec_augment_time_max: {NO_LINE}", "reference"),
    Case("noise", added("data_gain_max_db", **NOISE), f"data_noise_probability: {NO_LINE}", "reference"),
    Case("tempo", value("data_tempo_perturbation_max", 1.2), "data_tempo_perturbation_max: must be 1.15", "reference"),
    Case("gain", value("data_gain_min_db", -5.0), "data_gain_min_db: must be -6.0", "reference"),
    Case(
        "no tempo",
        removed("data_tempo_perturbation_min", "data_tempo_perturbation_max"),
        "Required EXACTLY_ONE occurrence of 'data_tempo_perturbation_min' but found 0",
        "reference",
    ),
    Case("longest", added("data_order", data_train_max_duration=5.0), f"data_train_max_duration: {NO_LINE}"),
    Case(
        "int4",
        value("lowest_numerical_precision_in_linear", "int4"),
        "lowest_numerical_precision_in_linear: must be fp32, tf32 or bfloat16",
    ),
    Case(
        "fp16 sums",
        value("lowest_numerical_precision_in_comm", "fp16"),
        "lowest_numerical_precision_in_comm: must be fp32, tf32 or bfloat16",
    ),
    Case("parallel", value("tensor_parallelism", 2), "tensor_parallelism: must be 1"),
    Case("one tensor", one_tensor, "init_stop: the count of tensors is not the model's"),
    Case(
        "tensors missing",
        lambda lines: LogLines(line for line in lines if '"index": 29,' not in line),
        "init_stop: the last tensors are missing",
        open=False,
    ),
    Case("smaller tensor", another_size, "init_stop: the shapes of the tensors do not add up to the model's weights"),
    Case(
        "micro batch",
        value("micro_batch_size", 1024),
        "gradient_accumulation_steps: micro_batch_size times this does not divide global_batch_size",
        open=False,
    ),
    Case(
        "uneven batch",
        value("micro_batch_size", 5, global_batch_size=16),
        "gradient_accumulation_steps: micro_batch_size times this does not divide global_batch_size",
        open=False,
    ),
    Case("batch", value("global_batch_size", 256), "global_batch_size: must be from 4 to 128"),
    Case(
        "small batch",
        value("global_batch_size", 8, micro_batch_size=8),
        "global_batch_size: must be from 16 to 4096",
        "reference",
    ),
    Case("schedule", value(SCHEDULE, "flat"), f"{SCHEDULE}: must be one_cycle", open=False),
    Case(
        "annealed",
        lambda lines: renamed(opt_learning_rate_warmup_epochs="opt_learning_rate_decay_factor")(
            removed("opt_end_learning_rate")(value(SCHEDULE, "anneal")(lines))
        ),
        f"{SCHEDULE}: must be one_cycle",
    ),
    Case("optimizer", value("opt_name", "lamb"), "opt_name: must be adamw", open=False),
    Case(
        "adam",
        lambda lines: renamed(**ADAM, opt_adamw_weight_decay="opt_weight_decay")(value("opt_name", "adam")(lines)),
        "opt_name: must be adamw",
    ),
    Case(
        "lamb",
        lambda lines: renamed(**LAMB, opt_adamw_weight_decay="opt_lamb_weight_decay_rate")(
            value("opt_name", "lamb")(lines)
        ),
        "opt_lamb_beta_1: a closed log of this benchmark has no such line",
    ),
    Case("rate", value("opt_base_learning_rate", 5.0), "opt_base_learning_rate: must be from 0.0005 to 0.012"),
    Case("low rate", value("opt_base_learning_rate", 9e-5), "must be from 0.0001 to 0.004", "reference"),
    Case("warm-up", value("opt_learning_rate_warmup_epochs", 6.0), "must be from 0.0 to 5.0"),
    Case("end rate", value("opt_end_learning_rate", 1e-4), "opt_end_learning_rate: must be 0.0"),
    Case("beta 1", value("opt_adamw_beta_1", 0.8), "opt_adamw_beta_1: must be 0.9"),
    Case("beta 2", value("opt_adamw_beta_2", 0.98), "opt_adamw_beta_2: must be 0.999"),
    Case("epsilon", value("opt_adamw_epsilon", 1e-6), "opt_adamw_epsilon: must be 1e-08"),
    Case("decay", value("opt_adamw_weight_decay", 0), "opt_adamw_weight_decay: must be 0.01", "reference"),
    Case("clip", value("opt_gradient_clip_norm", 400), "opt_gradient_clip_norm: must be 5.0", "reference"),
    Case("planned epochs", ten_more_epochs, f"{SCHEDULE}: epochs must be from 1 to 10"),
    Case("evaluation set", value("eval_samples", MINI[1] - 1), f"eval_samples: must be {MINI[1]}"),
    Case("large evaluation set", value("eval_samples", 5_566), "eval_samples: must be 5567", "reference"),
    Case("training set", value("train_samples", MINI[0] - 1), f"train_samples: must be {MINI[0]}"),
    Case("more than LibriSpeech", value("train_samples", 281_242), "must be from 280960 to 281241", "reference"),
    Case(
        "epoch of its own size",
        metadata("epoch_stop", samples_count=100),
        "epoch_stop: samples_count is not epoch_num times train_samples",
    ),
    Case("dataset", value("dataset_checksum", "0" * 64), f"dataset_checksum: must be {MINI_SHA256}"),
    Case("dataset's name", metadata("dataset_checksum", dataset="clean"), "dataset must be all", "reference"),
    Case("no dataset", removed("dataset_checksum"), "Required EXACTLY_ONE occurrence of 'dataset_checksum'"),
    Case("parameters", value("config_filename", "params.py:mini"), "config_filename: must be params.json"),
    Case("mini as large", relabelled("deepspeech2"), "train_samples: must be from 280960 to 281241"),
    Case("small as mini", relabelled("deepspeech2_mini"), f"eval_samples: must be {MINI[1]}", "small", open=False),
    Case("small's test set", value("eval_samples", 1_088), "eval_samples: must be 1089", "small"),
    Case("small's training set", value("train_samples", 1_518), "train_samples: must be 1519", "small"),
    Case("small's masks", value("data_spec_augment_time_n", 10), "data_spec_augment_time_n: must be 2", "small"),
    Case(
        "small without masks",
        removed(*FREQUENCY),
        "Required EXACTLY_ONE occurrence of 'data_spec_augment_freq_n' but found 0",
        "small",
    ),
    Case("small's gain", added("data_tempo_perturbation_max", **GAIN), f"data_gain_min_db: {NO_LINE}", "small"),
    Case("small's dataset", metadata("dataset_checksum", dataset="mini"), "dataset must be small", "small"),
    Case("large as mini", relabelled("deepspeech2_mini"), f"eval_samples: must be {MINI[1]}", "reference"),
    Case("a run of 2018", relabelled("deepspeech2"), "opt_name: must be adamw", "mlperf_2018"),
    Case("TensorFlow's", relabelled("deepspeech2"), "init_stop: the count of tensors is not", "tensorflow"),
    Case("no benchmark", relabelled("rnnt"), "benchmarks.yaml defines no benchmark of this name", open=False),
    Case("division", value("submission_division", "open"), "the log is of a different division"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.usefixtures("rules_read_once")
def test_damage_that_the_closed_rules_refuse(case: Case, good_log: Any, check: Any) -> None:
    good = good_log(case.preset)
    assert case.preset in ("mlperf_2018", "tensorflow") or check(good) == []
    found = [str(violation) for violation in check(case.damage(good))]
    assert any(case.reason in violation for violation in found), found
    assert (check(case.damage(good), "open") == []) == case.open


def test_the_table_is_large_and_the_open_division_accepts_most_of_it() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= 30
    assert sum(case.open for case in CASES) >= 30


@pytest.mark.parametrize(
    "damage",
    [
        value("opt_base_learning_rate", 5e-4),
        value("opt_base_learning_rate", 1.2e-2),
        value("global_batch_size", 128),
        value("global_batch_size", 64, micro_batch_size=8, gradient_accumulation_steps=4),
        value("global_batch_size", 4, micro_batch_size=4),
        value("lowest_numerical_precision_in_linear", "bfloat16"),
        value("opt_learning_rate_warmup_epochs", 0),
        value("submission_org", "others"),
        metadata(SCHEDULE, epochs=1),
    ],
)
@pytest.mark.usefixtures("rules_read_once")
def test_what_is_free_passes_up_to_its_bounds(damage: Any, good_log: Any, check: Any) -> None:
    assert check(damage(good_log())) == []


@pytest.mark.usefixtures("rules_read_once")
def test_nobody_has_pinned_librispeech(good_log: Any, check: Any) -> None:
    assert check(value("dataset_checksum", "0" * 64)(good_log("reference"))) == []
    assert check(value("dataset_checksum", "0" * 64)(good_log("small"))) == []
    assert check(value("train_samples", 281_240)(good_log("reference", counts=(281_240, 5_567)))) == []


@pytest.mark.usefixtures("rules_read_once")
def test_a_log_that_was_resumed_is_not_closed(good_log: Any, check: Any) -> None:
    lines = good_log().with_line("dataset_checksum", "resumed", True).edited("resumed", metadata={"epoch_num": 1})
    assert "resumed: a run that continued from a checkpoint" in str(check(lines)[0])
    assert check(lines, "open") == []
