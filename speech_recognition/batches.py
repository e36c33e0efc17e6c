"""Utterances of a manifest to batches of waveforms: reading and padding."""

import os
import signal
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.context import ForkContext, ForkProcess
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from params import SAMPLE_RATE
from speech_recognition import alphabet
from speech_recognition.corpus.audio import read_pcm
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import InputError, WorkerError
from speech_recognition.orders import Indices
from speech_recognition.runtime.parenthood import end_with_parent
from speech_recognition.runtime.signals import SIGNALS

PATIENCE = 300.0
"""Seconds without a batch after which the processes that read are given up: one is stopped, or a disk hangs."""

_SHUTDOWN_SECONDS = 10.0
"""Of these processes together; torch waits five seconds for each, and for ever for a thread that reads from one."""

Item = tuple[int, Tensor, Tensor]


class Batch(NamedTuple):
    """Waveforms and transcripts of some utterances, zero-padded on the right."""

    waveforms: Tensor
    """[batch, samples], 16-bit integers"""
    lengths: Tensor
    """[batch], in samples"""
    targets: Tensor
    """[batch, symbols], ids of the alphabet"""
    target_lengths: Tensor
    """[batch], in symbols"""
    indices: Tensor
    """[batch], places in the manifest"""

    @property
    def utterances(self) -> int:
        """How many there are; a share of nothing has a row of no length."""
        return int(self.lengths.count_nonzero())

    def to(self, device: torch.device) -> "Batch":
        """The same batch on `device`; pinned memory is copied while the host goes on."""
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


class _Recordings(Dataset[Item | InputError]):
    """A fault is an item too: raised in a worker, it would come back as a page of traceback."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self._utterances = utterances

    def __getitem__(self, index: int) -> Item | InputError:
        utterance = self._utterances[index]
        try:
            waveform = torch.from_numpy(read_pcm(utterance.audio, utterance.samples))
        except InputError as error:
            return error
        return index, waveform, torch.tensor(alphabet.encode(utterance.transcript))


def nothing() -> Batch:
    """The share of a process that has none of a batch: one row, of no length."""
    return Batch(
        waveforms=torch.zeros(1, SAMPLE_RATE, dtype=torch.int16),
        lengths=torch.zeros(1, dtype=torch.int64),
        targets=torch.zeros(1, 0, dtype=torch.int64),
        target_lengths=torch.zeros(1, dtype=torch.int64),
        indices=torch.full((1,), -1),
    )


def _collate_or_fault(items: Sequence[Item | InputError]) -> Batch | InputError:
    good: list[Item] = []
    for item in items:
        if isinstance(item, InputError):
            return item
        good.append(item)
    return collate(good) if good else nothing()


def collate(items: Sequence[Item]) -> Batch:
    """Pad `(index, waveform, target)` triples into one batch."""
    indices, waveforms, targets = zip(*items, strict=True)
    return Batch(
        waveforms=pad_sequence(list(waveforms), batch_first=True),
        lengths=torch.tensor([len(waveform) for waveform in waveforms]),
        targets=pad_sequence(list(targets), batch_first=True),
        target_lengths=torch.tensor([len(target) for target in targets]),
        indices=torch.tensor(indices),
    )


def synthetic_batch(size: int, samples: int, symbols: int) -> Batch:
    """Return `size` utterances of noise, each of `samples`, which share one transcript of `symbols`."""
    generator = torch.Generator().manual_seed(0)
    text = torch.tensor(alphabet.encode(("WARM UP " * symbols)[:symbols]))
    return Batch(
        waveforms=torch.randint(-1000, 1000, (size, samples), generator=generator, dtype=torch.int16),
        lengths=torch.full((size,), samples),
        targets=text.expand(size, -1),
        target_lengths=torch.full((size,), len(text)),
        indices=torch.arange(size),
    )


def load(
    utterances: Sequence[Utterance], batches: Sequence[Indices], workers: int, pin: bool = False
) -> Generator[Batch, None, None]:
    """Read the given batches in turn, in `workers` processes; an empty one gives `nothing()`.

    Close it (contextlib.closing) where it is not read to its end: its processes end only then, or with this one.
    Raises InputError on audio that cannot be read, WorkerError if one of the processes ends or gives nothing.
    """
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
    # Python drops what a signal's handler raises while a process forks: such a signal waits until that is done.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    on_child = signal.getsignal(signal.SIGCHLD)
    try:
        return iter(loader)
    finally:
        # Torch's handler raises wherever the program is when a worker ends, in the midst of a step or of a save.
        signal.signal(signal.SIGCHLD, on_child)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(loaded: Any, workers: Sequence["_Process"]) -> None:
    """End the workers now: a traceback that refers to the loader puts its own end off until Python's."""
    begin = time.monotonic()

    def kill() -> None:
        if time.monotonic() - begin >= _SHUTDOWN_SECONDS:
            for worker in workers:
                worker.kill()

    if loaded:
        with _every_second(kill):
            loaded._shutdown_workers()
    for worker in workers:
        if worker.is_alive():
            worker.kill()
            worker.join(1)


class _Process(ForkProcess):
    def terminate(self) -> None:
        """Kill: workers ignore SIGTERM, by which the loader ends those that do not end of themselves."""
        self.kill()


class _Processes(ForkContext):
    """Makes the loader's workers, and knows them."""

    def __init__(self) -> None:
        self.started: list[_Process] = []

    def Process(self, *positional: Any, **named: Any) -> _Process:  # type: ignore[override]
        """Return one that is about to be started."""
        self.started.append(_Process(*positional, **named))
        return self.started[-1]


def _outlive_signals(parent: int, _: int) -> None:
    """Leave signals to the parent: a terminal and `timeout` send theirs to every process of a group.

    The parent finishes its step, for which it needs its workers, and ends them itself.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    end_with_parent(parent)


def _next(loaded: Iterator[Batch | InputError], workers: Sequence[_Process]) -> Batch | InputError | None:
    """Return the next batch, or None after the last; raises WorkerError as `load` does."""
    begin = time.monotonic()

    def look() -> None:
        for worker in workers:
            if worker.exitcode:
                how = signal.Signals(-worker.exitcode).name if worker.exitcode < 0 else f"status {worker.exitcode}"
                raise WorkerError(
                    f"process {worker.pid}, which reads data, was ended by {how}, most likely because memory ran out:"
                    f" lower data.workers ({len(workers)})"
                )
        if time.monotonic() - begin >= PATIENCE:
            numbers = ", ".join(str(worker.pid) for worker in workers)
            raise WorkerError(
                f"no batch for {PATIENCE:g} s from the processes that read data ({numbers}): one is stopped, or the"
                " disk does not answer"
            )

    with _every_second(look):
        try:
            return next(loaded, None)
        except (RuntimeError, OSError, EOFError):
            time.sleep(0.5)  # connections of a process that is being killed close before it has ended
            look()
            raise


@contextmanager
def _every_second(look: Callable[[], None]) -> Iterator[None]:
    """Call `look` every second, by a timer's signal: what it raises ends any wait."""
    before = signal.signal(signal.SIGALRM, lambda *_: look())
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
