"""Tests of BatchNorm without padding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.batch_norm import MaskedBatchNorm


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


@pytest.mark.parametrize("limit", [None, 20.0])  # the models' own: no cell is so near that it rounds to it
def test_bfloat16_cells_are_kept_as_they_are_and_give_nearly_the_same_gradient(limit: float | None) -> None:
    saved: list[torch.Tensor] = []

    def keep(x: torch.Tensor) -> torch.Tensor:
        saved.append(x)
        return x

    mask = torch.ones(6, 1, 1, 40)
    mask[1, :, :, 30:] = 0
    cells = (3 + torch.randn(6, 5, 7, 40, generator=generator())).bfloat16()
    dy = torch.randn(6, 5, 7, 40, generator=torch.Generator().manual_seed(1)).bfloat16()
    results, sizes = [], []
    for dtype in (torch.float32, torch.bfloat16):
        norm, x = MaskedBatchNorm(5, axis=1, momentum=0.1, limit=limit), cells.to(dtype).requires_grad_()
        saved.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            y = norm(x, mask)
        sizes.append(sum(each.nbytes for each in saved if each.shape == x.shape))
        assert y.dtype == dtype
        results.append(torch.autograd.grad(y, [x, norm.weight, norm.bias], dy.to(dtype)))
        assert results[-1][0].dtype == dtype and results[-1][1].dtype == torch.float32
    assert sizes[0] == 2 * sizes[1] > 0
    for exact, found in zip(*results, strict=True):
        assert (found.float() - exact).norm() / exact.norm() < 0.02
