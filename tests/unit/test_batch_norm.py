"""Tests of BatchNorm without padding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.batch_norm import MaskedBatchNorm, _Normalize


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize("limit", [None, 1.0])
def test_without_padding_it_is_torchs_own(limit: float | None) -> None:
    x = torch.randn(4, 5, 6, 7, generator=generator())
    ours, theirs = MaskedBatchNorm(5, axis=1, momentum=0.1, limit=limit), torch.nn.BatchNorm2d(5)
    mask = torch.ones(4, 1, 1, 7, dtype=torch.bool)

    def cut(y: torch.Tensor) -> torch.Tensor:
        return y if limit is None else y.clamp(0, limit)

    torch.testing.assert_close(ours(x, mask), cut(theirs(x)), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean)
    torch.testing.assert_close(ours.running_var, theirs.running_var)
    torch.testing.assert_close(ours.eval()(x, mask), cut(theirs.eval()(x)), atol=1e-5, rtol=1e-5)


@given(st.lists(st.integers(1, 9), min_size=2, max_size=5))
def test_padding_changes_nothing_and_stays_zero(lengths: list[int]) -> None:
    """The utterances one after another, without padding, are the direct form."""
    pieces = [torch.randn(length, 3, generator=generator()) for length in lengths]
    x = torch.nn.utils.rnn.pad_sequence(pieces, padding_value=99.0)  # [t, b, d]
    mask = (torch.arange(x.shape[0])[:, None] < torch.tensor(lengths))[:, :, None]
    ours, theirs = MaskedBatchNorm(3, axis=2, momentum=0.1), torch.nn.BatchNorm1d(3)
    y, direct = ours(x, mask), theirs(torch.cat(pieces))
    torch.testing.assert_close(
        torch.cat([y[:length, row] for row, length in enumerate(lengths)]), direct, atol=1e-4, rtol=1e-4
    )
    assert not (y * ~mask).any()
    torch.testing.assert_close(ours.running_var, theirs.running_var, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("limit", [None, 0.7])
def test_the_gradient_is_that_of_finite_differences(limit: float | None) -> None:
    norm = MaskedBatchNorm(3, axis=2, momentum=0.1, limit=limit).double()
    mask = torch.tensor([[1, 1], [1, 1], [1, 0]], dtype=torch.bool)[:, :, None]
    x = torch.randn(3, 2, 3, dtype=torch.float64, generator=generator(), requires_grad=True)
    scale, shift = (torch.randn(3, dtype=torch.float64, generator=generator()).abs() + 0.5 for _ in range(2))

    def run(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(norm, {"weight": weight, "bias": bias}, (x, mask))

    assert torch.autograd.gradcheck(run, (x, scale.requires_grad_(), shift.requires_grad_()))


@pytest.mark.parametrize("limit", [None, 1.0])
def test_what_is_kept_in_bfloat16_is_small_and_gives_nearly_the_same_gradient(limit: float | None) -> None:
    """As on a GPU under autocast, on cells that are bfloat16 already."""
    mask = torch.ones(6, 1, 1, 40)
    mask[1, :, :, 30:] = 0
    saved: list[torch.Tensor] = []

    def keep(x: torch.Tensor) -> torch.Tensor:
        saved.append(x)
        return x

    dy = torch.randn(6, 5, 7, 40, generator=torch.Generator().manual_seed(1))
    results, sizes = [], []
    for kept in (torch.float32, torch.bfloat16):
        x = (3 + torch.randn(6, 5, 7, 40, generator=generator())).bfloat16().float().requires_grad_()
        gamma, beta = torch.full((5,), 0.8, requires_grad=True), torch.full((5,), 0.3, requires_grad=True)
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            y = _Normalize.apply(x, mask, gamma, beta, 1, 1e-5, limit, kept)[0]
        sizes.append(sum(each.nbytes for each in saved if each.shape == x.shape))
        results.append([y, *torch.autograd.grad(y, [x, gamma, beta], dy)])
    assert sizes[1] * 8 == sizes[0] * (3 if limit else 4)
    assert results[0][0].equal(results[1][0])
    for exact, found in zip(results[0][1:], results[1][1:], strict=True):
        assert (found - exact).norm() / exact.norm() < 0.01
        assert not (found == 0).logical_xor(exact == 0).any()  # the same cells are clipped, the same are padding


@pytest.mark.parametrize(("device", "kept"), [("cpu", torch.float32), ("meta", torch.bfloat16)])
def test_a_cpu_keeps_the_digits_that_a_gpu_drops(
    monkeypatch: pytest.MonkeyPatch, device: str, kept: torch.dtype
) -> None:
    asked: list[torch.dtype] = []
    apply = _Normalize.apply
    monkeypatch.setattr(_Normalize, "apply", lambda *inputs: (asked.append(inputs[-1]), apply(*inputs))[1])
    norm = MaskedBatchNorm(3, axis=2, momentum=0.1).to(device)
    y = norm(torch.ones(4, 2, 3, dtype=torch.bfloat16, device=device), torch.ones(4, 2, 1, device=device))
    assert asked == [kept] and y.dtype == torch.float32
