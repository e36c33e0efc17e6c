"""Tests of when a run is saved, and under which names."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import params
from speech_recognition.runs.metrics import EpochMetrics
from speech_recognition.runs.tally import Tally
from speech_recognition.training import saving


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the names of every checkpoint that was saved."""
    names: list[list[str]] = []

    def save(path: Path, _: object, others: Any = ()) -> None:
        names.append([path.name, *others])

    monkeypatch.setattr(saving.checkpoint, "save", save)
    return names


class Model(dict[str, Any]):
    def state_dict(self) -> dict[str, Any]:
        return {}


def make(metrics: list[EpochMetrics], **training: Any) -> tuple[saving.SavePolicy, Any]:
    chosen = dataclasses.replace(params.mini(), training=params.TrainingParams(**training))
    trainer = SimpleNamespace(params=chosen, seed=1, tally=Tally(), model=Model(), optimizer=Model())
    data = SimpleNamespace(train_digest="", val_digest="")
    return saving.SavePolicy(Path("checkpoints"), trainer, metrics, data), trainer  # type: ignore[arg-type]


def metrics(epoch: int, wer: float) -> EpochMetrics:
    return EpochMetrics(epoch=epoch, wer=wer, cer=1.0, utterance_wer=1.0, eval_seconds=1.0)


def test_every_so_many_steps(saved: list[list[str]]) -> None:
    keeper, trainer = make([], save_steps=3, save_minutes=0.0)
    for trainer.tally.steps in range(1, 8):
        keeper.after_step()
    assert saved == [["last.pt"], ["last.pt"]]


def test_a_signal_after_the_evaluation_loses_no_checkpoint(saved: list[list[str]]) -> None:
    keeper, trainer = make([metrics(1, 50.0)])
    keeper.before_the_end()
    trainer.tally = Tally(epoch=2)
    keeper.before_the_end()
    assert saved == [["epoch_01.pt", "last.pt", "best.pt"], ["last.pt"]]


def test_every_so_many_minutes(saved: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(saving.time, "monotonic", lambda: now[0])
    keeper, _ = make([], save_minutes=10.0)
    for minute in range(1, 26):
        now[0] = 1000 + 60 * minute
        keeper.after_step()
    assert len(saved) == 2


def test_never_within_an_epoch_if_nothing_asks_for_it(saved: list[list[str]]) -> None:
    keeper, trainer = make([], save_minutes=0.0)
    for trainer.tally.steps in range(1, 50):
        keeper.after_step()
    assert saved == []


def test_best_is_the_lowest_rate_of_a_trained_model(saved: list[list[str]]) -> None:
    table = [metrics(0, 10.0)]
    keeper, _ = make(table)
    for epoch, wer in ((1, 50.0), (2, 60.0), (3, 40.0)):
        table.append(metrics(epoch, wer))
        keeper.after_evaluation()
    assert saved == [
        ["epoch_01.pt", "last.pt", "best.pt"],
        ["epoch_02.pt", "last.pt"],
        ["epoch_03.pt", "last.pt", "best.pt"],
    ]


def test_other_processes_than_the_first_write_nothing(saved: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving.distributed, "is_first", lambda: False)
    keeper, _ = make([metrics(1, 50.0)], save_steps=1)
    keeper.after_step()
    keeper.after_evaluation()
    assert saved == []
