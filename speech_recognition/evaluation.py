"""Evaluation of a model on a manifest: transcripts, and edit counts in total and for each subset."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.decoding.greedy import Decode, greedy
from speech_recognition.orders import make_batches
from speech_recognition.reading import load_batches
from speech_recognition.recognizer import AnyRecognizer
from speech_recognition.runtime import distributed
from speech_recognition.runtime.progress import Progress
from speech_recognition.scoring import Score, score


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Transcripts and edit counts of a set of utterances, in the order of their manifest."""

    utterances: Sequence[Utterance]
    """Utterances that were evaluated."""
    hypotheses: list[str]
    """Transcript of each utterance by the recognizer."""
    scores: list[Score]
    """Edit counts of each utterance."""

    @property
    def total(self) -> Score:
        """Edit counts of all utterances."""
        return sum(self.scores, Score())

    def by_subset(self) -> dict[str, Score]:
        """Return the edit counts of each subset, such as dev-clean and dev-other, sorted by name."""
        totals: dict[str, Score] = {}
        for utterance, counts in zip(self.utterances, self.scores, strict=True):
            totals[utterance.subset] = totals.get(utterance.subset, Score()) + counts
        return dict(sorted(totals.items()))


def do_nothing() -> None:
    """Do nothing: the default of `after_batch`."""


def evaluate(
    recognizer: AnyRecognizer,
    utterances: Sequence[Utterance],
    after_batch: Callable[[], None] = do_nothing,
    decode: Decode = greedy,
) -> Evaluation:
    """Return transcripts and scores of all utterances, computed by all processes together.

    Expects evaluation mode. Batch size and workers are those of the recognizer's parameters. An exception from
    `after_batch`, which is called after each batch, ends the evaluation. Raises InputError for audio that cannot be
    read, and WorkerError if a process that reads it dies or hangs.
    """
    data = recognizer.params.data
    texts: dict[int, str] = {}
    # In the manifest's order, which is by length, so that a batch has little padding.
    batches = make_batches(range(len(utterances)), [each.samples for each in utterances], data.eval_batch_size)
    size = distributed.size()
    pin = recognizer.device.type == "cuda"
    # Rank r takes batches r, r + size, r + 2 * size ...: neighbours have nearly the same length, so that all ranks get
    # nearly the same work.
    reading = load_batches(utterances, batches[distributed.rank() :: size], data.workers, pin)
    with Progress("evaluation", total=len(utterances), unit="utterances") as progress, closing(reading) as loaded:
        # Every process takes the same number of turns, or `after_batch` would wait for one that has finished.
        for turn in range(0, len(batches), size):
            if turn + distributed.rank() < len(batches):
                batch = next(loaded)
                texts |= zip(batch.indices.tolist(), recognizer.transcribe(batch, decode), strict=True)
            progress.advance(sum(map(len, batches[turn : turn + size])))
            after_batch()
    # Scored by every process, not only by the first: all of them must decide alike whether the target is reached.
    texts = {index: text for share in distributed.gather(texts) for index, text in share.items()}
    hypotheses = [texts[index] for index in range(len(utterances))]
    scores = [score(utterance.transcript, text) for utterance, text in zip(utterances, hypotheses, strict=True)]
    return Evaluation(utterances=utterances, hypotheses=hypotheses, scores=scores)
