"""Utterances of a manifest to batches of waveforms: reading and padding."""

import signal
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from params import SAMPLE_RATE
from speech_recognition import alphabet
from speech_recognition.corpus.audio import read_pcm
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import InputError
from speech_recognition.interruption import SIGNALS
from speech_recognition.orders import Indices

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


def load(
    utterances: Sequence[Utterance], batches: Sequence[Indices], workers: int, pin: bool = False
) -> Iterator[Batch]:
    """Read the given batches in turn, in `workers` processes; an empty one gives `nothing()`.

    Raises InputError on audio that cannot be read.
    """
    loader = DataLoader(
        _Recordings(utterances),
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_collate_or_fault,
        pin_memory=pin,
        worker_init_fn=_leave_signals_to_the_parent,
    )
    # Python drops what a signal's handler raises while a process forks: such a signal waits until that is done.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        loaded = iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    for batch in loaded:
        if isinstance(batch, InputError):
            raise batch
        yield batch


def _leave_signals_to_the_parent(_: int) -> None:
    """A terminal sends its interrupt to every process; the parent ends its workers itself, by SIGTERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
