"""The plan of each epoch over the training set."""

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.corpus.manifest import Utterance, read_manifest
from speech_recognition.parameters import Params, Stage
from speech_recognition.training.epochs import TrainingSet, set_digest

CHOSEN = settings.apply(params.mini(), ["data.batch_size=5", "training.epochs=3"])


@pytest.fixture
def utterances(tone_dataset: Path) -> list[Utterance]:
    return read_manifest(tone_dataset / "manifests" / "train.csv")


def made(utterances: Sequence[Utterance], params: Params = CHOSEN, seed: int = 1) -> TrainingSet:
    return TrainingSet(utterances, params, seed)


def test_steps_are_numbered_through_the_run(utterances: list[Utterance]) -> None:
    plans = [made(utterances).plan(epoch) for epoch in (1, 2, 3)]
    assert [plan.first_step for plan in plans] == [0, 5, 10]
    assert {plan.run_steps for plan in plans} == {15}
    assert all(sorted(index for batch in plan.batches for index in batch) == list(range(24)) for plan in plans)


def test_a_plan_knows_how_many_utterances_its_first_steps_have(utterances: list[Utterance]) -> None:
    plan = made(utterances).plan(1)
    assert (plan.utterances(0), plan.utterances(5)) == (0, 24)
    assert plan.utterances(2) == sum(len(batch) for batch in plan.batches[:2])


def test_the_seed_decides_the_order_of_every_epoch(utterances: list[Utterance]) -> None:
    one, same, other = (made(utterances, seed=seed) for seed in (1, 1, 2))
    assert one.plan(2).batches == same.plan(2).batches
    assert one.plan(2).batches != other.plan(2).batches
    assert one.plan(2).batches != one.plan(3).batches


def test_a_stage_with_another_batch_size_changes_the_number_of_steps(utterances: list[Utterance]) -> None:
    stage = Stage(first_epoch=2, batch_size=10, momentum=0.9, anneal_factor=1.1)
    staged = made(utterances, dataclasses.replace(CHOSEN, stages=(stage,)))
    assert [staged.plan(epoch).first_step for epoch in (1, 2, 3)] == [0, 5, 8]
    assert staged.plan(1).run_steps == 11


@pytest.mark.parametrize("field", ["id", "transcript", "subset"])
def test_a_set_has_another_digest_if_anything_of_it_changes(utterances: list[Utterance], field: str) -> None:
    changed = [dataclasses.replace(utterances[0], **{field: "OTHER"}), *utterances[1:]]
    digests = {set_digest(each) for each in (utterances, changed, utterances[1:], utterances[::-1])}
    assert len(digests) == 4
    assert set_digest(list(utterances)) in digests


def test_a_plan_has_the_epochs_draws_and_batches_of_stretched_lengths(utterances: list[Utterance]) -> None:
    chosen = settings.apply(CHOSEN, ["augmentation.tempo_min=0.7", "augmentation.tempo_max=1.4"])
    plan = made(utterances, chosen).plan(2)
    assert plan.draws.tempo.equal(made(utterances, chosen).draws(2).tempo) and len(plan.draws.tempo) == 24
    assert not plan.draws.tempo.equal(made(utterances, chosen).draws(1).tempo)
    lengths = plan.draws.stretched(torch.tensor([each.samples for each in utterances]))
    bounds = sorted((min(lengths[batch]), max(lengths[batch])) for batch in plan.batches)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(bounds))


def test_an_utterance_that_only_just_has_a_ctc_path_is_not_sped_up(utterances: list[Utterance]) -> None:
    chosen = settings.apply(CHOSEN, ["augmentation.tempo_min=1.5", "augmentation.tempo_max=1.5"])
    letters = utterances[3].samples // 512  # the output frames: a hop of 16 ms, and a stride of 2
    tight = [dataclasses.replace(each, transcript=("AB" * letters)[:letters]) for each in utterances[3:4]]
    assert made([*utterances[:3], *tight], chosen).draws(1).tempo.tolist() == [1.5, 1.5, 1.5, 1.0]


def test_the_number_of_steps_counts_the_batches_that_a_bound_on_seconds_makes(utterances: list[Utterance]) -> None:
    bounded = settings.apply(CHOSEN, ["data.batch_seconds=4", "data.order=buckets", "augmentation.tempo_min=0.5"])
    train_set = made(utterances, bounded)
    plans = [train_set.plan(epoch) for epoch in (1, 2, 3)]
    assert sum(len(plan.batches) for plan in plans) == plans[0].run_steps > 15
    assert [plan.first_step for plan in plans[1:]] == [
        len(plans[0].batches),
        len(plans[0].batches) + len(plans[1].batches),
    ]
