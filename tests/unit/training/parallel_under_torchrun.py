"""Run by test_parallel.py under torchrun: passes of a small model in each process, whose results go to files.

usage: parallel_under_torchrun.py FOLDER sums|ends|fails
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from speech_recognition.runtime import distributed
from speech_recognition.training import parallel


class InBackward(torch.autograd.Function):
    """The identity; its backward pass calls a function."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Any) -> Tensor:
        ctx.function = function
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        ctx.function()
        return gradient, None


class Model(nn.Module):
    """Two linear layers, with a function to call between their backward passes."""

    def __init__(self) -> None:
        super().__init__()
        # Weights that differ between the processes, until they are made one model.
        torch.manual_seed(distributed.rank())
        self.first, self.second = nn.Linear(1, 2), nn.Linear(2, 1)
        self.function = lambda: None

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(InBackward.apply(self.first(x), self.function))  # type: ignore[no-untyped-call]
        return y


def sums() -> dict[str, Any]:
    """Return the last bias's gradient after each of two parts; its own are 1 and 10 in rank 0, 2 and 20 in rank 1."""
    model = Model()
    wrapped, found = parallel.data_parallel(model), []
    for weight, last in ((1.0, False), (10.0, True)):
        with parallel.adding_gradients(wrapped, last=last):
            parallel.backward(weight * (1 + distributed.rank()) * wrapped(torch.ones(1, 1)).sum())
        assert model.second.bias.grad is not None
        found.append(model.second.bias.grad.item())
    return {"gradients": found, "weight": model.first.weight.tolist(), "names": sorted(model.state_dict())}


def interrupted(function: Any) -> dict[str, Any]:
    """Return the error of a backward pass in which `function` is called; each process has a step behind it."""
    model = Model()
    wrapped = parallel.data_parallel(model)
    try:
        for each in (lambda: None, function):
            model.function = each
            with parallel.adding_gradients(wrapped, last=True):
                parallel.backward(wrapped(torch.ones(1, 1)).sum())
    except Exception as error:
        return {"error": type(error).__name__, "message": str(error)}
    return {}


def end_the_second() -> None:
    if distributed.rank() == 1:
        os._exit(0)  # with 0, so that torchrun leaves the first one alone


def fail() -> None:
    raise RuntimeError("CUDA error: out of memory")


with distributed.joined(distributed.Launch.of(os.environ), "cpu"):
    rank, mode = distributed.rank(), sys.argv[2]
    result = sums() if mode == "sums" else interrupted(end_the_second if mode == "ends" else fail)
    Path(sys.argv[1], f"{rank}.json").write_text(json.dumps(result))
