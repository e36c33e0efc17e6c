"""Tests of recurrent layers in bfloat16; tests/integration/test_gpu.py has those of cuDNN."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from speech_recognition.bf16_rnn import bf16_rnn

KINDS = [nn.GRU, nn.LSTM, nn.RNN]


class Dtypes(TorchDispatchMode):
    """The types of floats that reach an operation, by the operation's name."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, set[torch.dtype]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note the types, and run the operation."""
        found = {x.dtype for x in tree_leaves(args) if isinstance(x, torch.Tensor) and x.is_floating_point()}
        self.seen.setdefault(function.overloadpacket.__name__, set()).update(found)
        return function(*args, **(kwargs or {}))


def make(kind: type[nn.RNNBase]) -> nn.RNNBase:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(6, 16)


def inputs() -> torch.Tensor:
    return torch.randn(40, 3, 6, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("autocast", [False, True])
def test_nothing_is_float16_and_every_product_is_bfloat16(kind: type[nn.RNNBase], autocast: bool) -> None:
    layer, x = make(kind), inputs().requires_grad_()
    with Dtypes() as dtypes, torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        y = bf16_rnn(layer, x)
        y.float().square().sum().backward()  # type: ignore[no-untyped-call]
    assert y.dtype == torch.bfloat16
    products = [found for name, found in dtypes.seen.items() if name in ("mm", "addmm", "bmm", "mkldnn_rnn_layer")]
    assert set().union(*products) == {torch.bfloat16}
    assert torch.float16 not in set().union(*dtypes.seen.values())
    assert x.grad is not None and x.grad.dtype == torch.float32
    assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in layer.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_output_and_gradient_are_those_of_float64(kind: type[nn.RNNBase]) -> None:
    found = []
    for exact in (False, True):
        layer, x = make(kind), inputs()
        if exact:
            layer, x = layer.double(), x.double()
        x.requires_grad_()
        y = layer(x)[0] if exact else bf16_rnn(layer, x)
        # A gradient of 1e-9: in float16 it would be 0.
        (y.to(x.dtype).sin().sum() * 1e-9).backward()
        found.append([y, x.grad, *(weight.grad for weight in layer.parameters())])
    for ours, theirs in zip(*found, strict=True):
        assert ours is not None and theirs is not None
        assert (ours.double() - theirs).norm() / theirs.norm() < 0.02
