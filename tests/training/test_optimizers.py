import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import params
from speech_recognition.training.optimizers import build_optimizer, learning_rate

ANNEAL = params.reference().optimizer
ONE_CYCLE = params.mini().optimizer


def test_annealing_divides_after_every_epoch() -> None:
    rates = [learning_rate(ANNEAL, step, epoch_steps=3, epochs=10) for step in range(9)]
    assert rates == pytest.approx([1e-4] * 3 + [1e-4 / 1.1] * 3 + [1e-4 / 1.21] * 3)


@given(epoch_steps=st.integers(1, 300), epochs=st.integers(1, 20), warmup=st.floats(0, 0.9))
def test_one_cycle_rises_to_its_highest_and_falls_towards_zero(epoch_steps: int, epochs: int, warmup: float) -> None:
    optimizer = dataclasses.replace(ONE_CYCLE, warmup_fraction=warmup)
    steps = epoch_steps * epochs
    rates = [learning_rate(optimizer, step, epoch_steps, epochs) for step in range(steps)]
    top = rates.index(max(rates))
    assert all(0 < rate <= optimizer.learning_rate for rate in rates)
    assert rates[:top] == sorted(rates[:top]) and rates[top:] == sorted(rates[top:], reverse=True)
    assert abs(top - warmup * steps) <= 1


def test_optimizers_have_the_parameters_they_are_given() -> None:
    model = torch.nn.Linear(2, 2)
    sgd = build_optimizer(ANNEAL, model)
    assert isinstance(sgd, torch.optim.SGD)
    assert sgd.defaults["momentum"] == 0.9 and sgd.defaults["nesterov"] and sgd.defaults["weight_decay"] == 0
    adamw = build_optimizer(ONE_CYCLE, model)
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.defaults["betas"] == (0.9, 0.999) and adamw.defaults["weight_decay"] == ONE_CYCLE.weight_decay
