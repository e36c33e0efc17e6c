"""Batches read from disk, in worker processes that are watched and always ended."""

import os
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import ForkContext, ForkProcess
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from speech_recognition import alphabet
from speech_recognition.batches import Batch, Item, collate, nothing
from speech_recognition.corpus.audio import read_pcm
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import InputError, WorkerError
from speech_recognition.orders import Indices
from speech_recognition.runtime.parenthood import end_with_parent
from speech_recognition.runtime.signals import SIGNALS

PATIENCE = 300.0
"""Seconds without a batch after which `load_batches` fails: a worker is stopped, or a disk hangs."""

_SHUTDOWN_SECONDS = 10.0
"""Time that all workers together have to end; torch waits 5 s for each, and without limit for its pinning thread."""


class _Recordings(Dataset[Item | InputError]):
    """Recordings and transcripts of a manifest's utterances, by index."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self._utterances = utterances

    def __getitem__(self, index: int) -> Item | InputError:
        """Return an utterance, or the error in its audio: torch would add a worker's traceback to a raised one."""
        utterance = self._utterances[index]
        try:
            # 16-bit integers, 32 kB per second of audio, all the way to the device: half the bytes of float32.
            waveform = torch.from_numpy(read_pcm(utterance.audio, utterance.samples))
        except InputError as error:
            return error
        return index, waveform, torch.tensor(alphabet.encode(utterance.transcript))


def _collate_or_fault(items: Sequence[Item | InputError]) -> Batch | InputError:
    """Return the batch of `items`, or the first error among them; `nothing()` if there are none."""
    good: list[Item] = []
    for item in items:
        if isinstance(item, InputError):
            return item
        good.append(item)
    return collate(good) if good else nothing()


def load_batches(
    utterances: Sequence[Utterance], batches: Sequence[Indices], workers: int, pin: bool = False
) -> Generator[Batch, None, None]:
    """Yield the given batches in order, read by `workers` processes, or by this one if 0; an empty one as `nothing()`.

    Callers that may stop early must close it (contextlib.closing): only that, or the end of this process, ends the
    workers. Raises InputError for audio that cannot be read, and WorkerError if a worker dies or hangs.
    """
    # Workers are forked, because spawned ones would import torch again (1.6 s) and need a copy of the utterances. Forks
    # share those of a `Table`, 180 MB for LibriSpeech, to the end. Each worker reads two batches ahead.
    processes = _Processes()
    loader = DataLoader(
        _Recordings(utterances),
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_collate_or_fault,
        pin_memory=pin,
        worker_init_fn=partial(_outlive_signals, os.getpid()),
        multiprocessing_context=processes if workers else None,
    )
    loaded: Any = None
    # Without workers, a read that hangs cannot be interrupted: _next and _end have nothing to watch.
    try:
        loaded = _begin(loader)
        while (batch := _next(loaded, processes.started) if workers else next(loaded, None)) is not None:
            if isinstance(batch, InputError):
                raise batch
            yield batch
    finally:
        if workers:
            _end(loaded, processes.started)


def _begin(loader: DataLoader[Item | InputError]) -> Iterator[Batch | InputError]:
    """Start the workers. Signals that arrive during a fork wait: Python would drop what their handlers raise."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    on_child = signal.getsignal(signal.SIGCHLD)
    try:
        return iter(loader)
    finally:
        # Torch's handler raises as soon as a worker dies, even in the middle of a step or of a save.
        signal.signal(signal.SIGCHLD, on_child)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(loaded: Any, workers: Sequence["_Process"]) -> None:
    """End the workers now: torch does so in a destructor, which a traceback can delay until Python exits."""
    begin = time.monotonic()

    def kill() -> None:
        """Kill the workers if their time is over."""
        if time.monotonic() - begin >= _SHUTDOWN_SECONDS:
            for worker in workers:
                worker.kill()

    if loaded:
        with _every_second(kill):
            loaded._shutdown_workers()  # private: torch has no public way to end the workers at once
    for worker in workers:
        if worker.is_alive():
            worker.kill()
            worker.join(1)


class _Process(ForkProcess):
    """Worker that can be ended."""

    def terminate(self) -> None:
        """Send SIGKILL: torch ends slow workers with SIGTERM, which they ignore."""
        self.kill()


class _Processes(ForkContext):
    """Context that starts the loader's workers and keeps a list of them."""

    def __init__(self) -> None:
        self.started: list[_Process] = []

    def Process(self, *positional: Any, **named: Any) -> _Process:  # type: ignore[override]
        """Return a new worker, which torch is about to start."""
        self.started.append(_Process(*positional, **named))
        return self.started[-1]


def _outlive_signals(parent: int, _: int) -> None:
    """Ignore signals in a worker: a terminal and `timeout` send theirs to every process of a group.

    The parent ends its workers itself, after the step for which it still needs them.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    end_with_parent(parent)


def _next(loaded: Iterator[Batch | InputError], workers: Sequence[_Process]) -> Batch | InputError | None:
    """Return the next batch, or None after the last. Raises WorkerError if a worker dies or hangs."""
    begin = time.monotonic()

    def watch() -> None:
        """Raise WorkerError if a worker has died, or if no batch has come for PATIENCE seconds."""
        for worker in workers:
            if worker.exitcode:  # None while it runs, 0 after a normal end
                code = worker.exitcode
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
                raise WorkerError(
                    f"process {worker.pid}, which reads data, {how}, probably because memory ran out: lower"
                    f" data.workers ({len(workers)})"
                )
        if time.monotonic() - begin >= PATIENCE:
            numbers = ", ".join(str(worker.pid) for worker in workers)
            raise WorkerError(
                f"no batch for {PATIENCE:g} s from the processes that read data ({numbers}): one of them is stopped, or"
                " the disk does not answer"
            )

    with _every_second(watch):
        try:
            return next(loaded, None)
        except (RuntimeError, OSError, EOFError):
            time.sleep(0.5)  # a process that is being killed closes its connections before it has an exit code
            watch()
            raise


@contextmanager
def _every_second(check: Callable[[], None]) -> Iterator[None]:
    """Call `check` every second in the block, by a timer's signal: an exception from it interrupts any wait."""
    # Python runs signal handlers in the main thread, so only that thread may read batches.
    before = signal.signal(signal.SIGALRM, lambda *_: check())
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
