"""The model in training: its warm-up, and its steps."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.errors import InputError
from speech_recognition.runtime.allocator import kept_memory
from speech_recognition.runtime.devices import choose_device
from speech_recognition.runtime.progress import Progress
from speech_recognition.training.epochs import TrainingSet
from speech_recognition.training.trainer import Trainer

SMALL = settings.apply(params.mini(), ["model.conv_channels=8", "model.rnn_units=48", "data.batch_size=4"])


CAPACITY = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


@pytest.fixture(autouse=True)
def _default_capacity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what a trainer sets here taken back after each test."""
    monkeypatch.setenv(CAPACITY, "")
    monkeypatch.delenv(CAPACITY)


def training_set(dataset: Path) -> TrainingSet:
    return TrainingSet(read_manifest(dataset / "manifests" / "train.csv"), SMALL, seed=1)


def test_each_step_yields_the_sums_so_far(tone_dataset: Path) -> None:
    train_set, trainer = training_set(tone_dataset), Trainer(SMALL, seed=1, device=choose_device("cpu"))
    plan = train_set.plan(1)
    seen = [(tally.epoch, tally.steps, tally.utterances) for tally in trainer.train(train_set, plan)]
    assert seen == [(1, step, 4 * step) for step in range(1, 7)] and len(plan.batches) == 6


def test_every_step_bounds_the_memory_that_is_kept(tone_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train_set, trainer = training_set(tone_dataset), Trainer(SMALL, seed=1, device=choose_device("cpu"))
    bounded: list[int] = []
    monkeypatch.setattr(kept_memory, "after_batch", lambda: bounded.append(1))
    assert [len(bounded) for _ in trainer.train(train_set, train_set.plan(1))] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("options", "capacity"), [([], None), (["augmentation.tempo_min=0.9"], "128")])
def test_kernels_are_kept_only_where_shapes_come_again(options: list[str], capacity: str | None) -> None:
    """In `small`, kernels that never serve again grow by 4 MB a step; in `mini`, keeping them saves 9% of an epoch."""
    Trainer(settings.apply(SMALL, options), seed=1, device=choose_device("cpu"))
    assert os.environ.get(CAPACITY) == capacity


def test_an_epoch_that_was_left_goes_on_with_its_next_step(tone_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []

    def recorded(*arguments: Any, done: int = 0, **named: Any) -> Progress:
        begun.append(done)
        return Progress(*arguments, done=done, **named)

    train_set, trainer = training_set(tone_dataset), Trainer(SMALL, seed=1, device=choose_device("cpu"))
    steps = trainer.train(train_set, train_set.plan(1))
    next(steps), next(steps)
    steps.close()
    monkeypatch.setattr("speech_recognition.training.trainer.Progress", recorded)
    assert [tally.steps for tally in trainer.train(train_set, train_set.plan(1))] == [3, 4, 5, 6]
    assert trainer.train(train_set, train_set.plan(2)).send(None).steps == 1 and begun == [2, 0]


def test_the_warm_up_leaves_no_trace(tone_dataset: Path) -> None:
    warm, cold = (Trainer(SMALL, seed=1, device=choose_device("cpu")) for _ in range(2))
    warm.warm_up(train_seconds=2.0, val_seconds=2.5)
    for (name, value), other in zip(warm.model.state_dict().items(), cold.model.state_dict().values(), strict=True):
        assert value.equal(other), name
    train_set = training_set(tone_dataset)
    losses = [[tally.loss for tally in trainer.train(train_set, train_set.plan(1))][-1] for trainer in (warm, cold)]
    assert losses[0] == losses[1]


def test_the_warm_up_tries_every_part_twice_and_the_lowest_tempo(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[list[tuple[int, int]]] = []

    def record(*arguments: Any) -> None:
        tried.append([tuple(part.waveforms.shape) for part in arguments[4]])

    monkeypatch.setattr("speech_recognition.training.trainer.training_step", record)
    chosen = settings.apply(SMALL, ["data.accumulation_steps=2", "augmentation.tempo_min=0.8"])
    Trainer(chosen, seed=1, device=choose_device("cpu")).warm_up(train_seconds=2.0, val_seconds=2.5)
    assert tried == [[(2, 32_000)] * 2, [(2, 40_000)] * 2]
    # The bound on a batch counts seconds at the drawn tempo: two utterances of 2 s fit into 4.5 s, one of 2.5 s does.
    tried.clear()
    bounded = settings.apply(SMALL, ["data.batch_seconds=4.5", "augmentation.tempo_min=0.8"])
    Trainer(bounded, seed=1, device=choose_device("cpu")).warm_up(train_seconds=2.0, val_seconds=2.5)
    assert tried == [[(2, 32_000)], [(1, 40_000)]]


def test_the_warm_up_trains_on_nothing_longer_than_training_will_and_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = []
    monkeypatch.setattr("speech_recognition.training.trainer.training_step", lambda *a: tried.append(a[4][0].waveforms))
    chosen = settings.apply(SMALL, ["data.longest_seconds=1.5"])
    Trainer(chosen, seed=1, device=choose_device("cpu")).warm_up(train_seconds=2.0, val_seconds=2.5)
    assert [waveforms.shape[1] for waveforms in tried] == [24_000, 24_000]
    assert "utterances of 1.5 s in training and 2.5 s in evaluation" in capsys.readouterr().err


def test_the_warm_up_evaluates_on_utterances_that_training_never_has(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []
    monkeypatch.setattr("speech_recognition.training.trainer.training_step", lambda *a: tried.append(a[4][0].waveforms))
    trainer = Trainer(SMALL, seed=1, device=choose_device("cpu"))
    monkeypatch.setattr(
        "speech_recognition.recognizer.Recognizer.transcribe", lambda _, batch: tried.append(batch.waveforms)
    )
    trainer.warm_up(train_seconds=1.5, val_seconds=4.0)
    assert [waveforms.shape[1] for waveforms in tried] == [24_000, 24_000, 64_000]


def test_the_warm_up_returns_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    returned: list[torch.device] = []
    monkeypatch.setattr("speech_recognition.training.trainer.memory.start_afresh", returned.append)
    Trainer(SMALL, seed=1, device=choose_device("cpu")).warm_up(1.0, 1.0)
    assert returned == [torch.device("cpu")]


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA"), RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), MemoryError()]
)
def test_too_little_memory_names_the_parameters_to_lower(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("speech_recognition.training.trainer.training_step", refuse)
    trainer = Trainer(SMALL, seed=1, device=choose_device("cpu"))
    with pytest.raises(InputError, match=r"no memory .* lower data\.batch_size \(\d+\) or data\.eval_batch_size"):
        trainer.warm_up(1.0, 1.0)


def test_another_fault_of_the_warm_up_is_not_taken_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speech_recognition.training.trainer.training_step", lambda *_: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError):
        Trainer(SMALL, seed=1, device=choose_device("cpu")).warm_up(1.0, 1.0)
