"""Guards against a slow training step that take no time: they count what a step does, the same on every machine.

A bound is 5% above the count of today's code. A change that needs more work on purpose raises the bound.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

import params
from speech_recognition import model as model_module
from speech_recognition.augment import plain
from speech_recognition.batches import Batch, collate
from speech_recognition.features import Features
from speech_recognition.gru import gru
from speech_recognition.model import build_model
from speech_recognition.training.optimizers import build_optimizer
from speech_recognition.training.step import training_step

MARGIN = 1.05
"""Ratio of a bound to the count on record."""
OPERATIONS = 5539
"""Calls of torch's operations in the step that `step` returns, without views."""
MEGABYTES = 66.7
"""Megabytes that the operations of a step read and write."""
MEGAFLOP = 198.9
"""Millions of floating-point operations in a step's products and convolutions."""
SAVED_MEGABYTES = 1.53
"""Megabytes that the forward pass of a step keeps for its backward pass."""
FRAME_FORWARDS, FRAME_BACKWARDS = 8, 7
"""Calls of torch's operations, without views, for each further output frame of a GRU in one direction."""

Gru = Callable[[Any, Tensor, Any], list[Tensor]]


class Counter(TorchDispatchMode):
    """Counts the calls of operations and the bytes of their tensors; a view is no work and is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.calls, self.bytes = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and count it."""
        found = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.calls += 1
            leaves = torch.utils._pytree.tree_leaves((args, kwargs, found))
            self.bytes += sum(each.nbytes for each in leaves if isinstance(each, Tensor))
        return found


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread: modes and hooks do not see what other threads do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def batch() -> Batch:
    """Return four utterances of noise, of 1 to 2.5 s."""
    generator = torch.Generator().manual_seed(1)
    sizes = [16_000 + 8_000 * index for index in range(4)]
    noise = [torch.randint(-3000, 3000, (size,), dtype=torch.int16, generator=generator) for size in sizes]
    return collate([(index, each, torch.arange(1, 9)) for index, each in enumerate(noise)])


def step() -> Callable[[], None]:
    """Return a training step of a narrow `mini`, which has run once: the optimizer has its states."""
    chosen = params.mini()
    sizes = dataclasses.replace(chosen.model, conv_channels=4, rnn_units=32)
    features, model = Features(chosen.features), build_model(sizes, chosen.features.bins, seed=1)
    optimizer, part = build_optimizer(chosen.optimizer, model), batch()

    def run() -> None:
        assert training_step(model, plain(features), optimizer, 5.0, [part]).updated

    run()
    return run


def work() -> tuple[int, float]:
    """Return the calls of a step, and the megabytes that they read and write."""
    run, counter = step(), Counter()
    with counter:
        run()
    return counter.calls, counter.bytes / 1e6


def products() -> float:
    """Return the millions of floating-point operations of a step."""
    run, counter = step(), FlopCounterMode(display=False)
    with counter:
        run()
    return counter.get_total_flops() / 1e6


def saved() -> float:
    """Return the megabytes that a step keeps between its passes; a tensor's memory counts once."""
    run, kept = step(), dict[int, int]()

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return sum(kept.values()) / 1e6


def per_frame(layer: Gru) -> tuple[float, float]:
    """Return the calls for each further output frame, forwards and backwards."""
    found = []
    for frames in (20, 40):
        weights, x = nn.GRU(8, 8), torch.randn(2 * frames, 8, requires_grad=True)
        forwards, backwards = Counter(), Counter()
        with forwards:
            (h,) = layer([weights], x, [2] * frames)
        with backwards:
            h.sum().backward()
        found.append((forwards.calls, backwards.calls))
    return (found[1][0] - found[0][0]) / 20, (found[1][1] - found[0][1]) / 20


def torch_gru(layers: Any, x: Tensor, active: Any) -> list[Tensor]:
    """Return the states of torch's own layers, one call per output frame of the batch."""
    packed = nn.utils.rnn.PackedSequence(x, torch.tensor(active))
    return [layer(packed)[0].data for layer in layers]


def careless(layers: Any, x: Tensor, active: Any) -> list[Tensor]:
    """Return the states of `gru`, with a product and a copy too many for each layer."""
    return [h * torch.ones_like(h) + 0 * (x @ x.T @ h) for h in gru(layers, x, active)]


def test_a_step_calls_and_moves_no_more_than_on_record() -> None:
    calls, megabytes = work()
    assert calls <= MARGIN * OPERATIONS
    assert megabytes <= MARGIN * MEGABYTES


def test_a_step_multiplies_no_more_than_on_record() -> None:
    assert products() <= MARGIN * MEGAFLOP


def test_a_step_keeps_no_more_than_on_record() -> None:
    assert saved() <= MARGIN * SAVED_MEGABYTES


def test_an_output_frame_of_a_gru_takes_no_more_calls_than_on_record() -> None:
    forwards, backwards = per_frame(gru)
    assert forwards <= FRAME_FORWARDS
    assert backwards <= FRAME_BACKWARDS


def test_the_guards_see_a_layer_that_wastes_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "gru", careless)
    assert work()[1] > MARGIN * MEGABYTES
    assert products() > MARGIN * MEGAFLOP
    assert saved() > MARGIN * SAVED_MEGABYTES


def test_the_guards_see_a_layer_of_many_small_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    forwards, backwards = per_frame(torch_gru)
    assert forwards > FRAME_FORWARDS
    assert backwards > FRAME_BACKWARDS
    monkeypatch.setattr(model_module, "gru", torch_gru)
    assert work()[0] > MARGIN * OPERATIONS
