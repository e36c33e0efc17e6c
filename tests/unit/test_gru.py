"""Tests of the CPU's GRU against torch's."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from speech_recognition.gru import gru


def layers(directions: int, dtype: torch.dtype = torch.float64) -> list[nn.GRU]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [nn.GRU(3, 4).to(dtype) for _ in range(directions)]


def run(stack: list[nn.GRU], x: torch.Tensor, lengths: list[int]) -> torch.Tensor:
    active = [sum(length > t for length in lengths) for t in range(len(x))]
    return gru(stack, [x] * len(stack), active)


@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.integers(1, 2))
def test_outputs_and_gradients_are_those_of_torchs_layer(lengths: list[int], directions: int) -> None:
    lengths = sorted(lengths, reverse=True)
    stack = layers(directions)
    x = torch.randn(7, len(lengths), 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    there = torch.tensor([[length > t for length in lengths] for t in range(7)])[:, :, None]
    results = []
    for compute in (lambda x: run(stack, x, lengths), lambda x: torch.stack([layer(x)[0] for layer in stack]) * there):
        here = x.clone().requires_grad_()
        y = compute(here)
        weights = [weight for layer in stack for weight in layer.parameters()]
        results.append([y, *torch.autograd.grad((y * y.cos()).sum(), [here, *weights])])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_half_precision_inputs_keep_a_float32_state(dtype: torch.dtype) -> None:
    stack = layers(1, torch.float32)
    x = torch.randn(300, 2, 3, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        y = run(stack, x, [300, 250])
    assert y.dtype == torch.float32
    torch.testing.assert_close(y[0, :250], stack[0](x)[0][:250], rtol=0.02, atol=0.02)


def test_nothing_gives_zeros() -> None:
    assert not run(layers(2), torch.ones(5, 1, 3, dtype=torch.float64), [0]).any()
