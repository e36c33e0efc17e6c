"""Ranges by which a profiler tells layers apart: `forward conv.0`, `backward rnn.1`, `update optimizer`.

Wrappers around the layers' own functions open and close them. The wrappers are there only while a profile is recorded:
the training step itself knows nothing of them.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import record_function

from speech_recognition.profiling.calls import Place
from speech_recognition.training.trainer import Trainer

OpenRange = Callable[[str], Callable[[], object]]
"""Function that opens a range of this name and returns the function that closes it."""


def torch_range(name: str) -> Callable[[], object]:
    """Open a range in torch's trace; return the function that closes it, for the same thread."""
    opened = record_function(name)
    opened.__enter__()  # type: ignore[no-untyped-call]
    return partial(opened.__exit__, None, None, None)


def nvtx_range(name: str) -> Callable[[], object]:
    """Open an NVTX range, which nsys and ncu record; return the function that closes it, for any thread."""
    return partial(torch.cuda.nvtx.range_end, torch.cuda.nvtx.range_start(name))


class Marker:
    """The place where the step is now, as an open range. One range at a time, so that each kernel has one place."""

    def __init__(self, open_range: OpenRange) -> None:
        """Make a marker at no place."""
        self._open = open_range
        self._close: Callable[[], object] | None = None

    def move(self, place: Place | None) -> None:
        """Close the open range, if there is one, and open that of `place`, if it is not None."""
        if self._close:
            self._close()
        self._close = self._open(str(place)) if place else None


def layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the children of a model by name; those of a list of layers, such as conv.0, instead of the list."""
    found = []
    for name, child in model.named_children():
        inner = child.named_children() if isinstance(child, nn.ModuleList) else []
        found += [(f"{name}.{number}", each) for number, each in inner] or [(name, child)]
    return found


_ENTRIES = ("forward", "masked", "over_rows")
"""Functions by which the model enters a layer; on a CPU, `masked` for convolutions, `over_rows` for recurrences."""


@contextmanager
def marked(trainer: Trainer, open_range: OpenRange, *, backward: bool) -> Iterator[None]:
    """Mark layers, features and optimizer of a trainer by ranges in the block.

    backward: mark the backward pass too, which needs ranges that a different thread may close. A trace of torch's needs
    no such ranges: it says which operation of the forward pass each one of the backward pass belongs to.
    """
    marker = Marker(open_range)
    wrapped: list[tuple[nn.Module, str]] = []
    for name, layer in [("features", trainer.features), *layers(trainer.model)]:
        for entry in (each for each in _ENTRIES if hasattr(layer, each)):
            # Set on the object, where it hides the method of the class until it is deleted.
            setattr(layer, entry, partial(_entered, marker, name, backward, getattr(layer, entry)))
            wrapped.append((layer, entry))
    update = Place("optimizer", "update")
    hooks = [
        trainer.optimizer.register_step_pre_hook(lambda *_: marker.move(update)),
        trainer.optimizer.register_step_post_hook(lambda *_: marker.move(None)),
    ]
    try:
        yield
    finally:
        for layer, entry in wrapped:
            delattr(layer, entry)
        for hook in hooks:
            hook.remove()


def _entered(
    marker: Marker, name: str, backward: bool, function: Callable[..., Any], *inputs: Any, **options: Any
) -> Any:
    """Return what a function of a layer returns; mark its time, and that of its backward pass if `backward`."""
    marker.move(Place(name, "forward"))
    output = function(*inputs, **options)
    marker.move(None)
    first: Tensor = output[0] if isinstance(output, tuple) else output
    if backward and first.requires_grad:
        first.register_hook(partial(_backward, marker, name))  # type: ignore[no-untyped-call]
    return output


def _backward(marker: Marker, name: str, _: Tensor) -> None:
    """Move to the backward pass of a layer, whose output has just got its gradient."""
    marker.move(Place(name, "backward"))
    # Nothing tells when the gradients of the first layer are done, except the end of the whole backward pass.
    torch.autograd.Variable._execution_engine.queue_callback(partial(marker.move, None))
