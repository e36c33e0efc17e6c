"""Tests of the lines that say what a run is."""

from typing import Any

import pytest

import params
from speech_recognition import settings
from speech_recognition.mlperf.described import described
from speech_recognition.parameters import Params
from speech_recognition.runtime import distributed
from tests.unit.mlperf.conftest import AUGMENTED


def values(chosen: Params) -> dict[str, Any]:
    return {key: value for key, value, _ in described(chosen, seed=7)}


def test_values_come_from_the_parameters() -> None:
    mini = params.mini()
    expected = {
        "submission_benchmark": "deepspeech2_mini", "submission_division": "closed",
        "submission_org": "reference_implementation", "lowest_numerical_precision_in_linear": "fp32",
        "micro_batch_size": 16, "config_filename": "params.json", "seed": 7, "global_batch_size": 16,
        "gradient_accumulation_steps": 1, "opt_name": "adamw",
        "opt_base_learning_rate": mini.optimizer.learning_rate, "opt_adamw_weight_decay": 0.01,
        "opt_gradient_clip_norm": 5.0, "opt_learning_rate_decay_schedule": "one_cycle",
        "opt_learning_rate_warmup_epochs": 10 * mini.optimizer.warmup_fraction, "opt_end_learning_rate": 0.0,
        "data_order": "batch_shuffle",
    }  # fmt: skip
    found = values(mini)
    assert {key: found[key] for key in expected} == expected
    assert values(params.mlperf_2018())["opt_learning_rate_decay_factor"] == pytest.approx(1 / 1.1)
    bf16 = values(settings.apply(mini, ["model.precision=bf16"]))
    assert bf16["lowest_numerical_precision_in_linear"] == "bfloat16"


def test_each_optimizer_has_keys_of_its_own() -> None:
    def of_optimizer(name: str) -> set[str]:
        found = values(settings.apply(params.mini(), [f"optimizer.name={name}"]))
        return {key for key in found if key.startswith("opt_") and "learning_rate" not in key}

    shared = {"opt_name", "opt_gradient_clip_norm"}
    assert of_optimizer("lamb") - shared == {
        "opt_lamb_beta_1", "opt_lamb_beta_2", "opt_lamb_epsilon", "opt_lamb_weight_decay_rate",
    }  # fmt: skip
    assert of_optimizer("lamb") & of_optimizer("adamw") == of_optimizer("adam") & of_optimizer("adamw") == shared
    assert values(settings.apply(params.mini(), ["optimizer.name=lamb"]))["opt_name"] == "lamb"


def test_a_micro_batch_is_the_share_of_one_process_in_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "size", lambda: 4)
    found = values(settings.apply(params.mini(), ["data.batch_size=64", "data.accumulation_steps=2"]))
    assert (found["micro_batch_size"], found["gradient_accumulation_steps"], found["global_batch_size"]) == (8, 2, 64)


def test_an_augmentation_has_lines_only_if_it_is_in_use() -> None:
    assert not any(key.startswith(("data_tempo", "data_spec", "data_gain")) for key in values(params.mini()))
    found = values(AUGMENTED)
    assert (found["data_tempo_perturbation_min"], found["data_spec_augment_freq_n"]) == (0.9, 2)
    assert (found["data_noise_probability"], found["data_spec_augment_time_n"]) == (0.4, 10)


def test_the_planned_epochs_stand_beside_the_schedule() -> None:
    lines = described(settings.apply(params.mini(), ["training.epochs=20"]), seed=7)
    assert [metadata["epochs"] for key, _, metadata in lines if key == "opt_learning_rate_decay_schedule"] == [20]
