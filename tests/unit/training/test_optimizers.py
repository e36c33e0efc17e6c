"""Tests of the optimizers."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import params
from speech_recognition.parameters import OptimizerParams
from speech_recognition.training.optimizers import build_optimizer, learning_rate, load_optimizer, set_rates

MLPERF_2018, MINI = params.mlperf_2018(), params.mini()


def test_annealing_divides_after_every_epoch() -> None:
    rates = [learning_rate(MLPERF_2018, epoch, step=0, steps=30) for epoch in (1, 2, 3)]
    assert rates == pytest.approx([1e-4, 1e-4 / 1.1, 1e-4 / 1.21])


def test_stages_change_factor_and_rate() -> None:
    """The published table's recipe: 1.1 after epochs 1 to 4, 1.2 after 5 and 6, 1.01 then, 3e-4 from 11 on."""
    rates = [learning_rate(params.aggressive_lr(), epoch, 0, 1) for epoch in range(1, 14)]
    factors = [1.1] * 4 + [1.2] * 2 + [1.01] * 3
    expected = [1e-4]
    for factor in factors:
        expected.append(expected[-1] / factor)
    assert rates == pytest.approx([*expected, 3e-4, 3e-4 / 1.01, 3e-4 / 1.01**2])


@given(steps=st.integers(1, 3000), warmup=st.floats(0, 0.9))
def test_one_cycle_rises_to_its_highest_and_falls_towards_zero(steps: int, warmup: float) -> None:
    optimizer = dataclasses.replace(MINI.optimizer, warmup_fraction=warmup)
    rates = [learning_rate(dataclasses.replace(MINI, optimizer=optimizer), 1, step, steps) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= optimizer.learning_rate for rate in rates)
    assert rates[:top] == sorted(rates[:top]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert abs(top - warmup * steps) <= 1


@given(steps=st.integers(2, 3000), warmup=st.integers(0, 4000))
def test_warmup_cosine_rises_for_its_steps_and_ends_at_its_end(steps: int, warmup: int) -> None:
    optimizer = dataclasses.replace(
        MINI.optimizer, schedule="warmup_cosine", warmup_steps=warmup, end_learning_rate=1e-5
    )
    chosen = dataclasses.replace(MINI, optimizer=optimizer)
    rates = [learning_rate(chosen, 1, step, steps) for step in range(steps)]
    top = rates.index(max(rates))
    assert top == min(warmup, steps - 1)
    assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert learning_rate(chosen, 1, steps, steps) == pytest.approx(1e-5)


def test_optimizers_have_the_parameters_they_are_given() -> None:
    model = torch.nn.Linear(2, 2)
    sgd = build_optimizer(MLPERF_2018.optimizer, model)
    assert isinstance(sgd, torch.optim.SGD)
    assert sgd.defaults["momentum"] == 0.9 and sgd.defaults["nesterov"] and sgd.defaults["weight_decay"] == 0
    adamw = build_optimizer(MINI.optimizer, model)
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.defaults["betas"] == (0.9, 0.999) and adamw.defaults["weight_decay"] == 0.01
    adam = build_optimizer(params.tensorflow().optimizer, model)
    assert isinstance(adam, torch.optim.Adam) and not isinstance(adam, torch.optim.AdamW)
    assert adam.defaults["lr"] == 5e-4


def test_momentum_is_set_where_there_is_one() -> None:
    model = torch.nn.Linear(2, 2)
    for recipe in (MLPERF_2018.optimizer, MINI.optimizer):
        optimizer = build_optimizer(recipe, model)
        set_rates(optimizer, rate=0.5, momentum=0.7)
        (group,) = optimizer.param_groups
        assert group["lr"] == 0.5 and group.get("momentum", 0.7) == 0.7


@pytest.mark.parametrize(("device", "fused"), [("cuda", True), ("cpu", True), ("xpu", None)])
def test_cpus_and_nvidia_gpus_update_all_weights_in_one_kernel(
    monkeypatch: pytest.MonkeyPatch, device: str, fused: bool | None
) -> None:
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(torch.optim, "AdamW", lambda _, **options: made.append(options))
    model = SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=torch.device(device))]))
    build_optimizer(MINI.optimizer, model)  # type: ignore[arg-type]
    assert made[0].get("fused") is fused


@pytest.mark.parametrize("recipe", [MLPERF_2018.optimizer, MINI.optimizer])
def test_a_state_from_another_device_goes_on_as_one_of_this_device(recipe: OptimizerParams) -> None:
    weights = []
    for origin in ("here", "another device"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = torch.nn.Linear(3, 2)
        optimizer = build_optimizer(recipe, model)
        own = optimizer.defaults["fused"]
        for _ in range(3):
            model(torch.ones(4, 3)).square().sum().backward()
            optimizer.step()
            state = optimizer.state_dict()
            if origin == "another device":
                state["param_groups"][0]["fused"] = None if own else True
            optimizer = build_optimizer(recipe, model)
            load_optimizer(optimizer, state)
        assert optimizer.param_groups[0]["fused"] is own
        weights.append(model.weight.clone())
    assert weights[0].equal(weights[1])
