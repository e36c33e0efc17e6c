"""The plan of each epoch over the training set."""

import dataclasses
from pathlib import Path

import pytest

import params
from speech_recognition import settings
from speech_recognition.corpus.manifest import Utterance, read_manifest
from speech_recognition.training.epochs import TrainingSet, set_digest

CHOSEN = settings.apply(params.mini(), ["data.batch_size=5", "training.epochs=3"])


@pytest.fixture
def utterances(tone_dataset: Path) -> list[Utterance]:
    return read_manifest(tone_dataset / "manifests" / "train.csv")


def test_steps_are_numbered_through_the_run(utterances: list[Utterance]) -> None:
    plans = [TrainingSet(utterances, CHOSEN, seed=1).plan(epoch) for epoch in (1, 2, 3)]
    assert [plan.first_step for plan in plans] == [0, 5, 10]
    assert {plan.run_steps for plan in plans} == {15}
    assert all(sorted(index for batch in plan.batches for index in batch) == list(range(24)) for plan in plans)


def test_a_plan_knows_how_many_utterances_its_first_steps_have(utterances: list[Utterance]) -> None:
    plan = TrainingSet(utterances, CHOSEN, seed=1).plan(1)
    assert (plan.utterances(0), plan.utterances(5)) == (0, 24)
    assert plan.utterances(2) == sum(len(batch) for batch in plan.batches[:2])


def test_the_seed_decides_the_order_of_every_epoch(utterances: list[Utterance]) -> None:
    one, same, other = (TrainingSet(utterances, CHOSEN, seed=seed) for seed in (1, 1, 2))
    assert one.plan(2).batches == same.plan(2).batches
    assert one.plan(2).batches != other.plan(2).batches
    assert one.plan(2).batches != one.plan(3).batches


def test_a_stage_with_another_batch_size_changes_the_number_of_steps(utterances: list[Utterance]) -> None:
    stage = params.Stage(first_epoch=2, batch_size=10, momentum=0.9, anneal_factor=1.1)
    staged = TrainingSet(utterances, dataclasses.replace(CHOSEN, stages=(stage,)), seed=1)
    assert [staged.plan(epoch).first_step for epoch in (1, 2, 3)] == [0, 5, 8]
    assert staged.plan(1).run_steps == 11


@pytest.mark.parametrize("field", ["id", "transcript", "subset"])
def test_a_set_has_another_digest_if_anything_of_it_changes(utterances: list[Utterance], field: str) -> None:
    changed = [dataclasses.replace(utterances[0], **{field: "OTHER"}), *utterances[1:]]
    digests = {set_digest(each) for each in (utterances, changed, utterances[1:], utterances[::-1])}
    assert len(digests) == 4
    assert set_digest(list(utterances)) in digests
