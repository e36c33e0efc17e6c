"""Tests of when a run is saved, and under which names."""

import dataclasses
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import params
from speech_recognition.parameters import TrainingParams
from speech_recognition.runs.metrics import EpochMetrics
from speech_recognition.runs.tally import Tally
from speech_recognition.training import saving

Make = Callable[..., tuple[saving.SavePolicy, Any]]


class Writer:
    """Stand-in for `CheckpointWriter`, with the names of every checkpoint that was given to it."""

    def __init__(self) -> None:
        self.names: list[list[str]] = []
        self.on_disk = 0
        self.fault: OSError | None = None

    def save(self, path: Path, _: object, others: Any = ()) -> None:
        self.names.append([path.name, *others])

    def check(self) -> None:
        if self.fault:
            raise self.fault

    def wait(self) -> None:
        self.check()
        self.on_disk = len(self.names)


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def saved(writer: Writer) -> list[list[str]]:
    """Return the names of every checkpoint that was saved."""
    return writer.names


class Model(dict[str, Any]):
    def state_dict(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def make(writer: Writer) -> Make:
    """Return a function that makes a policy, and the trainer that it saves."""
    return partial(_make, writer)


def _make(writer: Writer, metrics: list[EpochMetrics], **training: Any) -> tuple[saving.SavePolicy, Any]:
    chosen = dataclasses.replace(params.mini(), training=TrainingParams(**training))
    trainer = SimpleNamespace(params=chosen, seed=1, tally=Tally(), model=Model(), optimizer=Model())
    data = SimpleNamespace(train_digest="", val_digest="")
    policy = saving.SavePolicy(Path("checkpoints"), trainer, metrics, data, writer)  # type: ignore[arg-type]
    return policy, trainer


def metrics(epoch: int, wer: float) -> EpochMetrics:
    return EpochMetrics(epoch=epoch, wer=wer, cer=1.0, utterance_wer=1.0, eval_seconds=1.0)


def test_every_so_many_steps(make: Make, saved: list[list[str]]) -> None:
    keeper, trainer = make([], save_steps=3, save_minutes=0.0)
    for trainer.tally.steps in range(1, 8):
        keeper.after_step()
    assert saved == [["last.pt"], ["last.pt"]]


def test_a_signal_after_the_evaluation_loses_no_checkpoint(make: Make, saved: list[list[str]]) -> None:
    keeper, trainer = make([metrics(1, 50.0)])
    keeper.before_the_end()
    trainer.tally = Tally(epoch=2)
    keeper.before_the_end()
    assert saved == [["epoch_01.pt", "last.pt", "best.pt"], ["last.pt"]]


def test_every_so_many_minutes(make: Make, saved: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(saving.time, "monotonic", lambda: now[0])
    keeper, _ = make([], save_minutes=10.0)
    for minute in range(1, 26):
        now[0] = 1000 + 60 * minute
        keeper.after_step()
    assert len(saved) == 2


def test_never_within_an_epoch_if_nothing_asks_for_it(make: Make, saved: list[list[str]]) -> None:
    keeper, trainer = make([], save_minutes=0.0)
    for trainer.tally.steps in range(1, 50):
        keeper.after_step()
    assert saved == []


def test_best_is_the_lowest_rate_of_a_trained_model(make: Make, saved: list[list[str]]) -> None:
    table = [metrics(0, 10.0)]
    keeper, _ = make(table)
    for epoch, wer in ((1, 50.0), (2, 60.0), (3, 40.0), (4, 40.0)):
        table.append(metrics(epoch, wer))
        keeper.after_evaluation()
    assert saved == [
        ["epoch_01.pt", "last.pt", "best.pt"],
        ["epoch_02.pt", "last.pt"],
        ["epoch_03.pt", "last.pt", "best.pt"],
        ["epoch_04.pt", "last.pt", "best.pt"],
    ]


def test_other_processes_than_the_first_write_nothing(
    make: Make, saved: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving.distributed, "is_first", lambda: False)
    keeper, _ = make([metrics(1, 50.0)], save_steps=1)
    keeper.after_step()
    keeper.after_evaluation()
    assert saved == []


def test_a_signal_waits_until_the_checkpoint_is_on_disk(
    make: Make, writer: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper, _ = make([metrics(1, 50.0)])
    keeper.after_evaluation()
    assert writer.on_disk == 0
    keeper.before_the_end()
    assert writer.on_disk == 2
    assert capsys.readouterr().err.startswith("saved: checkpoints/last.pt; to go on")


def test_a_checkpoint_that_could_not_be_written_ends_the_run_after_the_next_step(make: Make, writer: Writer) -> None:
    keeper, _ = make([], save_minutes=0.0)
    keeper.after_step()
    writer.fault = OSError(28, "full")
    with pytest.raises(OSError, match="full"):
        keeper.after_step()


def test_nothing_is_said_to_be_saved_that_is_not(
    make: Make, writer: Writer, capsys: pytest.CaptureFixture[str]
) -> None:
    keeper, _ = make([])
    writer.fault = OSError(28, "full")
    with pytest.raises(OSError, match="full"):
        keeper.before_the_end()
    assert "saved" not in capsys.readouterr().err
