"""The training set, and the plan of each epoch over it."""

from collections.abc import Sequence
from dataclasses import dataclass

import xxhash

from params import Params
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.orders import Indices, epoch_batches


@dataclass(frozen=True, kw_only=True)
class EpochPlan:
    """Batches of one epoch, and the place of its steps in the run."""

    epoch: int
    """Number of the epoch, from 1."""
    batches: list[Indices]
    """Batch of each step, as indices into the training set."""
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
        """Make the set of `utterances`, which are sorted by length. Every epoch's order is drawn from `seed`."""
        self.utterances = utterances
        self.samples = [utterance.samples for utterance in utterances]
        self._params, self._seed = params, seed
        # Planned for all epochs at once: the learning rate's schedule needs the number of the run's steps. An epoch of
        # LibriSpeech takes 0.3 s. Only the counts are kept, since ten epochs of indices would be 2.8 million integers.
        self._counts = [len(self._batches(epoch)) for epoch in range(1, params.training.epochs + 1)]

    def plan(self, epoch: int) -> EpochPlan:
        """Return the plan of an epoch, which counts from 1."""
        return EpochPlan(
            epoch=epoch,
            batches=self._batches(epoch),
            first_step=sum(self._counts[: epoch - 1]),
            run_steps=sum(self._counts),
        )

    def _batches(self, epoch: int) -> list[Indices]:
        """Return the batches of an epoch, of the size that its stage of the recipe has."""
        params = self._params
        return epoch_batches(params.data, params.stage(epoch).batch_size, self.samples, self._seed, epoch)


def set_digest(utterances: Sequence[Utterance]) -> str:
    """Return a digest of a set's utterances in their order, by which a resumed run recognises its data.

    Subsets count too, since each has a column in the table of epochs; paths do not, since a dataset may move.
    """
    # LibriSpeech's lines are 63 MB of text and take 0.2 s on the clock.
    lines = (f"{each.subset} {each.id} {each.samples} {each.transcript}\n" for each in utterances)
    return xxhash.xxh3_128_hexdigest("".join(lines).encode())
