"""The training set, and the plan of each epoch over it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
import xxhash

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.corpus.table import Table
from speech_recognition.draws import Draws, epoch_draws
from speech_recognition.orders import Indices, epoch_batches
from speech_recognition.parameters import Params
from speech_recognition.recognizer import output_lengths


@dataclass(frozen=True, kw_only=True)
class EpochPlan:
    """Batches of one epoch, and the place of its steps in the run."""

    epoch: int
    """Number of the epoch, from 1."""
    batches: list[Indices]
    """Batch of each step, as indices into the training set."""
    draws: Draws
    """Random values of the epoch's augmentation, a row for each utterance of the training set."""
    first_step: int
    """Number of the epoch's first step, from 0 over the whole run: the steps of all epochs before."""
    run_steps: int
    """Number of steps of the whole run, if it does not reach its target before the last epoch."""

    def utterances(self, steps: int) -> int:
        """Return the number of utterances in the first `steps` batches."""
        return sum(map(len, self.batches[:steps]))


class TrainingSet:
    """The utterances that a run trains on, from which the number of its steps follows."""

    def __init__(self, utterances: Sequence[Utterance], params: Params, seed: int) -> None:
        """Make the set of `utterances`, which are sorted by length. Every epoch is drawn from `seed`."""
        self.utterances = Table.of(utterances)
        self.samples: list[int] = self.utterances.samples.tolist()
        """Number of samples of each utterance."""
        self._params, self._seed = params, seed
        self._stretches = params.augmentation.changes_tempo or params.augmentation.changes_speed
        # Counted for all epochs at once: the learning rate's schedule needs the number of the run's steps.
        self._counts = [self._count(epoch) for epoch in range(1, params.training.epochs + 1)]

    def plan(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch, which counts from 1."""
        draws = self.draws(epoch)
        return EpochPlan(
            epoch=epoch,
            batches=self._batches(epoch, draws),
            draws=draws,
            first_step=sum(self._counts[: epoch - 1]),
            run_steps=sum(self._counts),
        )

    def draws(self, epoch: int) -> Draws:
        """Return the random values of an epoch, which counts from 1."""
        draws = epoch_draws(self._params.augmentation, self._seed, epoch, len(self.utterances))
        if self._stretches:
            samples, needed = map(torch.from_numpy, (self.utterances.samples, self.utterances.ctc_frames))
            draws = draws.with_paths(samples, needed, partial(output_lengths, self._params))
        return draws

    def _batches(self, epoch: int, draws: Draws) -> list[Indices]:
        """Return the batches of an epoch, of the size that its stage of the recipe has."""
        params, size, samples = self._params, self._params.stage(epoch).batch_size, self.utterances.samples
        stretched = draws.stretched(torch.from_numpy(samples)).numpy() if self._stretches else None
        return epoch_batches(params.data, size, samples, self._seed, epoch, stretched)

    def _count(self, epoch: int) -> int:
        """Return the number of batches of an epoch."""
        if self._params.data.batch_seconds:
            return len(self._batches(epoch, self.draws(epoch)))
        # Every order fills its batches. To make those of ten epochs of LibriSpeech would take 0.5 s on the clock.
        return -(-len(self.utterances) // self._params.stage(epoch).batch_size)


def set_digest(utterances: Sequence[Utterance]) -> str:
    """Return a digest of a set's utterances in their order, by which a resumed run recognises its data.

    Subsets count too, since each has a column in the table of epochs; paths do not, since a dataset may move.
    """
    digest = xxhash.xxh3_128()
    # In parts: LibriSpeech's lines are 63 MB of text together.
    for part in Table.of(utterances).parts():
        rows = zip(*map(part.column, ("subset", "utterance_id", "samples", "transcript")), strict=True)
        digest.update(b"".join(map(b"%b %b %b %b\n".__mod__, rows)))
    return digest.hexdigest()
