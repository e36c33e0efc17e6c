"""Tests of evaluation over a manifest."""

import dataclasses
from pathlib import Path

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.corpus.manifest import Utterance, read_manifest
from speech_recognition.decoding.beam import BeamSearch
from speech_recognition.evaluation import Evaluation, evaluate, evaluate_nbest
from speech_recognition.recognizer import Recognizer, new_recognizer
from speech_recognition.runtime.allocator import kept_memory
from speech_recognition.scoring import score

SMALL = settings.apply(params.mini(), ["model.conv_channels=2", "model.rnn_units=16"])


@pytest.fixture
def utterances(tone_dataset: Path) -> list[Utterance]:
    return read_manifest(tone_dataset / "manifests" / "train.csv")


def speaker(batch_size: int) -> Recognizer:
    chosen = settings.apply(SMALL, [f"data.eval_batch_size={batch_size}"])
    recognizer = new_recognizer(chosen, 3, torch.device("cpu"))
    # An untrained model hardly speaks: a louder last layer makes hypotheses worth comparing.
    torch.nn.init.normal_(recognizer.model.linear.weight, std=5, generator=torch.Generator().manual_seed(0))
    recognizer.model.eval()
    return recognizer


def run(utterances: list[Utterance], batch_size: int) -> Evaluation:
    return evaluate(speaker(batch_size), utterances)


def test_the_batch_size_changes_no_transcript(utterances: list[Utterance]) -> None:
    one, seven, all_at_once = (run(utterances, size) for size in (1, 7, 100))
    assert one.hypotheses == seven.hypotheses == all_at_once.hypotheses
    assert len(set(one.hypotheses)) > 1


def test_every_batch_bounds_the_memory_that_is_kept(
    utterances: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a step after an evaluation would take the evaluation's memory for its own, and raise the bound."""
    bounded: list[int] = []
    monkeypatch.setattr(kept_memory, "after_batch", lambda: bounded.append(1))
    run(utterances, 5)
    assert len(bounded) == -(-len(utterances) // 5)


def test_every_utterance_is_scored_once_in_the_manifests_order(utterances: list[Utterance]) -> None:
    result = run(utterances, 5)
    assert result.total.utterances == len(utterances)
    assert result.scores == [score(u.transcript, text) for u, text in zip(utterances, result.hypotheses, strict=True)]


def test_subsets_have_their_own_scores_and_add_to_the_whole(utterances: list[Utterance]) -> None:
    first = [dataclasses.replace(utterance, subset="dev-clean") for utterance in utterances[:10]]
    result = run([*first, *(dataclasses.replace(utterance, subset="dev-other") for utterance in utterances[10:])], 8)
    subsets = result.by_subset()
    assert list(subsets) == ["dev-clean", "dev-other"]
    assert subsets["dev-clean"].utterances == 10
    assert subsets["dev-clean"] + subsets["dev-other"] == result.total


def test_the_best_of_several_texts_has_fewer_errors_than_the_likeliest(utterances: list[Utterance]) -> None:
    search, recognizer = BeamSearch(width=20), speaker(5)
    likeliest = evaluate(recognizer, utterances, decode=search)
    several = evaluate_nbest(recognizer, utterances, search, 10)
    assert [texts[0] for texts in several.alternatives] == several.hypotheses == likeliest.hypotheses
    assert several.scores == likeliest.scores and likeliest.oracle == []
    assert all(len(set(texts)) == len(texts) <= 10 for texts in several.alternatives)
    best = [
        min(score(u.transcript, text).word_errors for text in texts)
        for u, texts in zip(utterances, several.alternatives, strict=True)
    ]
    assert [each.word_errors for each in several.oracle] == best
    # No text has a right word: the one with the fewest wrong letters is the best.
    assert sum(each.character_errors for each in several.oracle) < several.total.character_errors
