"""Tests of LAMB against its definition, tensor by tensor."""

import copy
import dataclasses
import io
import math

import pytest
import torch
from torch import Tensor

import params
from speech_recognition.training.lamb import Lamb
from speech_recognition.training.optimizers import build_optimizer

RATE, BETAS, EPSILON, DECAY = 0.02, (0.9, 0.99), 1e-6, 0.1


def tensors(seed: int) -> list[Tensor]:
    """Return random tensors with the shapes of a product, a bias and a kernel."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator) for shape in ((4, 3), (5,), (2, 1, 3, 3))]


def by_definition(w: Tensor, gradients: list[Tensor]) -> Tensor:
    """Return w after a step for each gradient, by the formulas of the paper in float64."""
    w = w.double()
    m, v = torch.zeros_like(w), torch.zeros_like(w)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient.double()
        m = BETAS[0] * m + (1 - BETAS[0]) * g
        v = BETAS[1] * v + (1 - BETAS[1]) * g * g
        r = m / (1 - BETAS[0] ** t) / ((v / (1 - BETAS[1] ** t)).sqrt() + EPSILON) + DECAY * w
        ratio = math.sqrt((w * w).sum()) / math.sqrt((r * r).sum()) if w.ndim > 1 else 1.0
        w = w - RATE * ratio * r
    return w


def made(weights: list[Tensor], decay: float = DECAY) -> Lamb:
    return Lamb(weights, lr=RATE, betas=BETAS, eps=EPSILON, weight_decay=decay)  # type: ignore[arg-type]


def take_steps(optimizer: Lamb, weights: list[Tensor], seeds: range) -> None:
    for seed in seeds:
        for weight, gradient in zip(weights, tensors(seed), strict=True):
            weight.grad = gradient
        optimizer.step()


def test_ten_steps_are_those_of_the_definition() -> None:
    weights = tensors(0)
    take_steps(made(weights), weights, range(1, 11))
    for index, (found, before) in enumerate(zip(weights, tensors(0), strict=True)):
        expected = by_definition(before, [tensors(seed)[index] for seed in range(1, 11)])
        torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)


def test_a_step_changes_a_matrix_by_the_rates_share_of_its_norm() -> None:
    weights = [1000 * each for each in tensors(0)]
    before = copy.deepcopy(weights)
    take_steps(made(weights), weights, range(1, 2))
    for index in (0, 2):
        assert (weights[index] - before[index]).norm() / before[index].norm() == pytest.approx(RATE, rel=1e-4)


def test_weights_and_shifts_that_begin_at_zero_leave_it() -> None:
    weights = [torch.zeros(3, 2), torch.zeros(4)]
    optimizer = made(weights)
    for _ in range(2):
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        optimizer.step()
    assert (weights[1] / -RATE).tolist() == pytest.approx([2.0] * 4, rel=0.02)
    assert torch.isfinite(weights[0]).all() and (weights[0] < -0.9 * RATE).all()


def test_a_matrix_without_gradient_and_decay_stays() -> None:
    weights = tensors(0)
    optimizer = made(weights, decay=0.0)
    for weight in weights:
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert all(weight.equal(before) for weight, before in zip(weights, tensors(0), strict=True))


def test_a_resumed_optimizer_takes_the_same_steps_to_the_bit() -> None:
    whole, halves = tensors(0), tensors(0)
    take_steps(made(whole), whole, range(1, 9))
    first = made(halves)
    take_steps(first, halves, range(1, 5))
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = made(halves)
    second.load_state_dict(torch.load(file, weights_only=True))  # as checkpoints are read
    take_steps(second, halves, range(5, 9))
    assert all(one.equal(other) for one, other in zip(whole, halves, strict=True))


def test_the_parameters_name_its_values() -> None:
    chosen = dataclasses.replace(
        params.mini().optimizer, name="lamb", learning_rate=4e-3, beta2=0.98, epsilon=1e-9, weight_decay=1e-3
    )
    optimizer = build_optimizer(chosen, torch.nn.Linear(2, 2))
    assert isinstance(optimizer, Lamb)
    (group,) = optimizer.param_groups
    assert {name: group[name] for name in ("lr", "betas", "eps", "weight_decay")} == {
        "lr": 4e-3, "betas": (0.9, 0.98), "eps": 1e-9, "weight_decay": 1e-3,
    }  # fmt: skip
