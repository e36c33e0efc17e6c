"""A model over a manifest: transcripts, and edit counts for the whole and for each subset."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from speech_recognition.batches import Batch, load
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.decoding import greedy
from speech_recognition.features import Features
from speech_recognition.files import atomic_write
from speech_recognition.model import DeepSpeech2
from speech_recognition.orders import cut
from speech_recognition.progress import Progress
from speech_recognition.scoring import Score, score

_COUNTS = ["words", "word_errors", "characters", "character_errors"]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model made of some utterances, in the order of their manifest."""

    utterances: Sequence[Utterance]
    hypotheses: list[str]
    scores: list[Score]

    @property
    def total(self) -> Score:
        """Counts over all utterances."""
        return sum(self.scores, Score())

    def by_subset(self) -> dict[str, Score]:
        """Counts of each subset, such as dev-clean and dev-other."""
        totals: dict[str, Score] = {}
        for utterance, counts in zip(self.utterances, self.scores, strict=True):
            totals[utterance.subset] = totals.get(utterance.subset, Score()) + counts
        return dict(sorted(totals.items()))


def do_nothing() -> None:
    """After a batch or a step, where there is nothing to do."""


@torch.inference_mode()
def transcribe(model: DeepSpeech2, features: Features, batch: Batch) -> list[str]:
    """Greedy text of each utterance of a batch that is on the model's device."""
    log_probs, lengths = model(*features(batch.waveforms, batch.lengths))
    return greedy(log_probs, lengths)


def evaluate(
    model: DeepSpeech2,
    features: Features,
    utterances: Sequence[Utterance],
    *,
    batch_size: int,
    workers: int,
    device: torch.device,
    after_batch: Callable[[], None] = do_nothing,
) -> Evaluation:
    """Transcribe and score every utterance once. Leaves the model in evaluation mode.

    What `after_batch` raises ends it between two batches.
    """
    model.eval()
    hypotheses = [""] * len(utterances)
    batches = cut(range(len(utterances)), [each.samples for each in utterances], batch_size)
    with Progress("evaluation", total=len(utterances), unit="utterances") as progress:
        for batch in load(utterances, batches, workers, pin=device.type == "cuda"):
            texts = transcribe(model, features, batch.to(device))
            for index, text in zip(batch.indices.tolist(), texts, strict=True):
                hypotheses[index] = text
            progress.advance(len(texts))
            after_batch()
    scores = [score(utterance.transcript, text) for utterance, text in zip(utterances, hypotheses, strict=True)]
    return Evaluation(utterances=utterances, hypotheses=hypotheses, scores=scores)


def write_rows(path: Path, evaluation: Evaluation) -> None:
    """Write a CSV row for each utterance: id, subset, reference, hypothesis, edit counts."""
    with atomic_write(path) as partial, partial.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["utterance_id", "subset", "reference", "hypothesis", *_COUNTS])
        for utterance, text, counts in zip(
            evaluation.utterances, evaluation.hypotheses, evaluation.scores, strict=True
        ):
            values = [getattr(counts, name) for name in _COUNTS]
            writer.writerow([utterance.id, utterance.subset, utterance.transcript, text, *values])
