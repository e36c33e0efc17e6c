"""Tests of evaluation over a manifest."""

import dataclasses
from pathlib import Path

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.corpus.manifest import Utterance, read_manifest
from speech_recognition.evaluation import Evaluation, evaluate
from speech_recognition.recognizer import new_recognizer
from speech_recognition.scoring import score

SMALL = settings.apply(params.mini(), ["model.conv_channels=2", "model.rnn_units=16"])


@pytest.fixture
def utterances(tone_dataset: Path) -> list[Utterance]:
    return read_manifest(tone_dataset / "manifests" / "train.csv")


def run(utterances: list[Utterance], batch_size: int) -> Evaluation:
    chosen = settings.apply(SMALL, [f"data.eval_batch_size={batch_size}"])
    recognizer = new_recognizer(chosen, 3, torch.device("cpu"))
    # An untrained model hardly speaks: a louder last layer makes hypotheses worth comparing.
    torch.nn.init.normal_(recognizer.model.linear.weight, std=5, generator=torch.Generator().manual_seed(0))
    recognizer.model.eval()
    return evaluate(recognizer, utterances)


def test_the_batch_size_changes_no_transcript(utterances: list[Utterance]) -> None:
    one, seven, all_at_once = (run(utterances, size) for size in (1, 7, 100))
    assert one.hypotheses == seven.hypotheses == all_at_once.hypotheses
    assert len(set(one.hypotheses)) > 1


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
