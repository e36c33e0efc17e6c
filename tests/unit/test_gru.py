"""Tests of the CPU's GRU against torch's."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from speech_recognition.gru import _all_states, gru


@pytest.fixture(params=[1, 2], autouse=True)
def threads(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compute with one thread, then with two, which run a direction each."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield
    assert torch.get_num_threads() == request.param
    torch.set_num_threads(before)


def layers(directions: int, dtype: torch.dtype = torch.float64) -> list[nn.GRU]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [nn.GRU(3, 4).to(dtype) for _ in range(directions)]


def frames(length: int, batch: int) -> Tensor:
    """Return output frames [t, b, i] of noise."""
    return torch.randn(length, batch, 3, generator=torch.Generator().manual_seed(0))


def run(stack: list[nn.GRU], x: Tensor, lengths: list[int]) -> list[Tensor]:
    """Return our states [n, u] for x [t, b, i]."""
    there = torch.tensor([[length > t for length in lengths] for t in range(len(x))])
    return gru(stack, x[there], there.sum(1).tolist())


def torchs(stack: list[nn.GRU], x: Tensor, lengths: list[int]) -> list[Tensor]:
    """Return torch's states [n, u], utterance by utterance, the second direction on reversed output frames."""
    there = torch.tensor([[length > t for length in lengths] for t in range(len(x))])
    found = []
    for layer, back in zip(stack, (False, True), strict=False):
        h = x.new_zeros(*x.shape[:2], 4)
        for row, length in enumerate(lengths):
            if length:
                y = layer(x[:length, row].flip(0) if back else x[:length, row])[0]
                h[:length, row] = y.flip(0) if back else y
        found.append(h[there])
    return found


@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.integers(1, 2))
def test_outputs_and_gradients_are_those_of_torchs_layer(lengths: list[int], directions: int) -> None:
    lengths = sorted(lengths, reverse=True)
    stack, x = layers(directions), frames(7, len(lengths)).double()
    results = []
    for compute in (run, torchs):
        here = x.clone().requires_grad_()
        y = torch.stack(compute(stack, here, lengths))
        weights = [weight for layer in stack for weight in layer.parameters()]
        gradients = torch.autograd.grad(
            (y * y.cos()).sum() + 0 * here.sum(), [here, *weights], allow_unused=True, materialize_grads=True
        )
        results.append([y, *gradients])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_half_precision_inputs_keep_a_float32_state(dtype: torch.dtype) -> None:
    stack, x = layers(1, torch.float32), frames(300, 2)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        (y,) = run(stack, x, [300, 250])
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, torchs(stack, x, [300, 250])[0], rtol=0.02, atol=0.02)


def test_a_large_layer_keeps_all_threads_for_each_product(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = list[int]()
    monkeypatch.setattr("speech_recognition.gru._SMALL_UNITS", 3)
    monkeypatch.setattr(torch, "set_num_threads", seen.append)
    run(layers(2), frames(5, 2).double(), [5, 3])
    assert not seen


def test_the_threads_come_back_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("speech_recognition.gru._scripted", lambda loop: fail)
    with pytest.raises(MemoryError):  # the fixture looks at the number of threads
        run(layers(2), frames(5, 2).double(), [5, 3])


def test_nothing_gives_nothing() -> None:
    assert [each.shape for each in run(layers(2), frames(5, 1).double(), [0])] == [(0, 4), (0, 4)]


@given(st.lists(st.integers(0, 7), min_size=1, max_size=4), st.integers(1, 2))
def test_without_a_gradient_the_states_are_the_same_to_the_bit(lengths: list[int], directions: int) -> None:
    lengths = sorted(lengths, reverse=True)
    stack, x = layers(directions, torch.float32), frames(7, len(lengths))
    with_gradient = run(stack, x, lengths)
    with torch.inference_mode():
        without = run(stack, x, lengths)
    assert all(ours.equal(theirs) for ours, theirs in zip(without, with_gradient, strict=True))


def test_only_a_gradient_needs_the_gates() -> None:
    x, active = torch.randn(60, 3), [2] * 30
    arguments = [nn.functional.linear(x, torch.randn(12, 3))], [torch.randn(12, 4)], [torch.randn(12)], active
    assert [each.shape for each in _all_states(*arguments, keep=False, parallel=False)[0]] == [(60, 4)]
    sizes = [each.shape for each in _all_states(*arguments, keep=True, parallel=False)[0]]
    assert sizes == [(60, 4), (60, 12), (60, 4)]
