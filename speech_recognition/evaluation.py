"""Evaluation of a model on a manifest: transcripts, and edit counts in total and for each subset."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Self, TypeVar

import torch
from torch import Tensor

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.decoding.beam import BeamSearch
from speech_recognition.decoding.greedy import Decode, greedy
from speech_recognition.orders import make_batches
from speech_recognition.reading import load_batches
from speech_recognition.recognizer import AnyRecognizer
from speech_recognition.runtime import distributed
from speech_recognition.runtime.allocator import kept_memory
from speech_recognition.runtime.progress import Progress
from speech_recognition.scoring import Score, score

Result = TypeVar("Result")
"""Type of a decoder's result for one utterance."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Transcripts and edit counts of a set of utterances, in the order of their manifest."""

    utterances: Sequence[Utterance]
    """Utterances that were evaluated."""
    hypotheses: list[str]
    """Transcript of each utterance by the recognizer."""
    scores: list[Score]
    """Edit counts of each utterance."""
    alternatives: Sequence[Sequence[str]] = ()
    """Likeliest texts of each utterance, of which its transcript is the first; empty unless they were asked for."""

    @classmethod
    def of(
        cls, utterances: Sequence[Utterance], hypotheses: list[str], alternatives: Sequence[Sequence[str]] = ()
    ) -> Self:
        """Score one transcript for each utterance and return the evaluation."""
        scores = [score(utterance.transcript, text) for utterance, text in zip(utterances, hypotheses, strict=True)]
        return cls(utterances=utterances, hypotheses=hypotheses, scores=scores, alternatives=alternatives)

    @cached_property
    def oracle(self) -> list[Score]:
        """Edit counts of each utterance's best alternative, judged by its reference; empty without alternatives."""
        pairs = zip(self.utterances, self.alternatives, strict=False)
        scores = ([score(utterance.transcript, text) for text in texts] for utterance, texts in pairs)
        return [min(each, key=lambda counts: (counts.word_errors, counts.character_errors)) for each in scores]

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
    # Scored by every process, not only by the first: all of them must decide alike whether the target is reached.
    return Evaluation.of(utterances, _decoded(recognizer, utterances, after_batch, decode))


def evaluate_nbest(
    recognizer: AnyRecognizer, utterances: Sequence[Utterance], search: BeamSearch, count: int
) -> Evaluation:
    """Return what `evaluate` returns, with up to `count` texts of each utterance as its alternatives."""

    def decode(log_probs: Tensor, lengths: Tensor) -> list[list[str]]:
        """Return up to `count` texts of each utterance, the likeliest first."""
        return [[each.text for each in found] for found in search.hypotheses(log_probs, lengths, count)]

    alternatives = _decoded(recognizer, utterances, do_nothing, decode)
    return Evaluation.of(utterances, [texts[0] for texts in alternatives], alternatives)


def _decoded(
    recognizer: AnyRecognizer,
    utterances: Sequence[Utterance],
    after_batch: Callable[[], None],
    decode: Callable[[Tensor, Tensor], list[Result]],
) -> list[Result]:
    """Return the result of `decode` for each utterance; every process gets the results of all."""
    data = recognizer.params.data
    results: dict[int, Result] = {}
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
                with torch.inference_mode():
                    found = decode(*recognizer.log_probs(batch))
                results |= zip(batch.indices.tolist(), found, strict=True)
                kept_memory.after_batch()
            progress.advance(sum(map(len, batches[turn : turn + size])))
            after_batch()
    gathered = {index: result for share in distributed.gather(results) for index, result in share.items()}
    return [gathered[index] for index in range(len(utterances))]
