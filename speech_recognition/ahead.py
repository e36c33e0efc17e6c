"""Batches copied to a GPU ahead of their step, so that the copy of the next one overlaps with the work on this one."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch

from speech_recognition.batches import Batch

T = TypeVar("T")
Started = TypeVar("Started")


def copied_ahead(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Return the batches in order; for a GPU, with waveforms and targets there and the rest on the host.

    The host has to know lengths and indices to queue a step without waiting for the GPU. Copies overlap with a step
    only if the batches lie in pinned memory.
    """
    if device.type != "cuda":
        return iter(batches)
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def begin(batch: Batch) -> tuple[Batch, torch.cuda.Event]:
        """Return `batch` with copies that the stream is making, and the event of their end."""
        with torch.cuda.stream(stream):
            waveforms, targets = (part.to(device, non_blocking=True) for part in (batch.waveforms, batch.targets))
            return batch._replace(waveforms=waveforms, targets=targets), stream.record_event()

    def finish(started: tuple[Batch, torch.cuda.Event]) -> Batch:
        """Return the batch for the current stream, whose later work waits for the copies; the host does not wait."""
        (batch, copied), current = started, torch.cuda.current_stream(device)
        # Not for the stream itself, which copies the next batch by now.
        current.wait_event(copied)
        for part in (batch.waveforms, batch.targets):
            part.record_stream(current)  # else torch would reuse the memory without regard to this stream's work
        return batch

    return one_ahead(batches, begin, finish)


def one_ahead(items: Iterable[T], begin: Callable[[T], Started], finish: Callable[[Started], T]) -> Iterator[T]:
    """Yield `finish(begin(item))` for each item, after `begin` of the item that follows."""
    waiting: list[Started] = []
    for item in items:
        waiting.append(begin(item))
        if len(waiting) == 2:
            yield finish(waiting.pop(0))
    yield from map(finish, waiting)
