"""A thread that writes checkpoints: training stands still while a state is copied, not while it is written."""

import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from speech_recognition.errors import one_line
from speech_recognition.runs import checkpoint
from speech_recognition.runs.checkpoint import TrainingState


class CheckpointWriter:
    """Writer of checkpoints, one at a time and in the order in which they are given to it.

    A context manager: the end of its block waits for the last checkpoint.
    """

    def __init__(self) -> None:
        """Make a writer that has nothing to write."""
        self._writing: _Write | None = None

    def save(self, path: Path, state: TrainingState, others: Sequence[str] = ()) -> None:
        """Copy `state`, and have the copy written as `checkpoint.save` does while the caller goes on.

        Waits for the checkpoint before, so that memory holds one copy at most. Raises that one's error.
        """
        self.wait()
        write = _Write(path, copied(state), others)
        write.start()
        self._writing = write

    def check(self) -> None:
        """Raise the error of a checkpoint that could not be written; return at once while it is being written."""
        if self._writing and self._writing.ended.is_set():
            self.wait()

    def wait(self) -> None:
        """Wait until the last checkpoint is on disk. Raises its error: OSError if the disk is full."""
        if self._writing is None:
            return
        # A signal can interrupt this. The checkpoint then counts as unfinished, and the end of the block waits for it.
        self._writing.ended.wait()
        error, self._writing = self._writing.error, None
        if error:
            raise error

    def __enter__(self) -> Self:
        """Return the writer."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: TracebackType | None) -> None:
        """Wait for the last checkpoint. Raises its error, or prints it if `error` ends the block already."""
        try:
            self.wait()
        except Exception as fault:
            if error is None:
                raise
            print(f"note: {one_line(str(fault))}", file=sys.stderr)


class _Write(threading.Thread):
    """Thread that writes one checkpoint. Python does not exit before it has ended."""

    def __init__(self, path: Path, state: TrainingState, others: Sequence[str]) -> None:
        """Make a thread that calls `checkpoint.save` with these arguments."""
        super().__init__(name="checkpoint")
        self._arguments = path, state, others
        self.error: BaseException | None = None
        """error that the writing has raised"""
        # Not join(): a signal that interrupts it makes Python 3.11 take the thread for ended, also when Python exits.
        self.ended = threading.Event()
        """set when the checkpoint is on disk, or has failed"""

    def run(self) -> None:
        """Write the checkpoint, and let go of its state."""
        # A signal that this thread received would not interrupt what the main thread waits for.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            checkpoint.save(*self._arguments)
        except BaseException as error:  # whatever it is, the main thread must not take the checkpoint for written
            self.error = error
        finally:
            del self._arguments
            self.ended.set()


def copied(state: TrainingState) -> TrainingState:
    """Return `state` with all that later steps change copied to the host's memory."""
    copy = replace(
        state,
        tally=_copied(state.tally),
        metrics=_copied(state.metrics),
        model=_copied(state.model),
        optimizer=_copied(state.optimizer),
    )
    for device in {tensor.device for tensor in state.model.values() if tensor.is_cuda}:
        torch.cuda.synchronize(device)  # the copies from a GPU have only been queued
    return copy


def _copied(value: Any) -> Any:
    """Return nested dictionaries and lists anew, with copies of their tensors in the host's memory."""
    if isinstance(value, Tensor):
        return _on_host(value)
    if isinstance(value, dict):
        return {key: _copied(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_copied, value))
    return value


def _on_host(tensor: Tensor) -> Tensor:
    """Return a copy of `tensor` in the host's memory. One from a GPU is complete only after a synchronisation."""
    if not tensor.is_cuda:
        return tensor.detach().to("cpu", copy=True)
    # Pinned: only into such memory does a GPU copy at full speed. torch keeps it for the next checkpoint.
    copy = torch.empty_like(tensor, device="cpu", pin_memory=True)
    return copy.copy_(tensor, non_blocking=True)
