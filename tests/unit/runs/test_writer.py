"""Checkpoints written by a thread: what they hold, their order, and what becomes of faults and signals."""

import copy
import dataclasses
import os
import signal
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from speech_recognition.runs import checkpoint, writer
from speech_recognition.runs.checkpoint import TrainingState
from speech_recognition.runs.writer import CheckpointWriter, copied

Snapshot = Callable[..., TrainingState]


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Yield an event without which no checkpoint is written."""
    opened, save = threading.Event(), checkpoint.save

    def wait_and_save(*arguments: Any) -> None:
        assert opened.wait(60)
        save(*arguments)

    monkeypatch.setattr(checkpoint, "save", wait_and_save)
    yield opened
    opened.set()


def fail(*_: object) -> None:
    raise OSError(28, "cannot be written (No space left on device); free some disk, then --resume", "last.pt")


def test_training_goes_on_meanwhile_and_the_file_holds_the_state_of_before(
    snapshot: Snapshot, tmp_path: Path, gate: threading.Event
) -> None:
    state = snapshot()
    before = checkpoint.digest([state.model, state.optimizer, dict(state.tally), list(state.metrics)])
    with CheckpointWriter() as writing:
        writing.save(tmp_path / "epoch_01.pt", state, ["last.pt"])
        assert not (tmp_path / "last.pt").exists()
        for moments in state.optimizer["state"].values():
            moments["exp_avg"].add_(1)
            moments["step"].add_(1)
        state.optimizer["param_groups"][0]["lr"] = 7.0
        for weights in state.model.values():
            weights.add_(1)
        state.tally["loss"] = 9.0
        state.metrics[0]["wer"] = 0.0
        gate.set()
    read = checkpoint.read(tmp_path / "last.pt")
    assert checkpoint.digest([read.model, read.optimizer, read.tally, read.metrics]) == before


def test_the_copy_is_what_a_write_in_line_would_have_written(snapshot: Snapshot, tmp_path: Path) -> None:
    state = snapshot()
    state.model["conv.0.conv.weight"] = state.model["conv.0.conv.weight"].to(memory_format=torch.channels_last)
    checkpoint.save(tmp_path / "in_line.pt", state)
    with CheckpointWriter() as writing:
        writing.save(tmp_path / "thread.pt", state)
    one, other = (checkpoint.read(tmp_path / name) for name in ("in_line.pt", "thread.pt"))
    contents = [[getattr(each, field.name) for field in dataclasses.fields(each)][1:] for each in (one, other)]
    assert checkpoint.digest(contents[0]) == checkpoint.digest(contents[1])
    assert {name: each.stride() for name, each in one.model.items()} == {
        name: each.stride() for name, each in other.model.items()
    }


def test_a_second_one_waits_for_the_first_and_its_copy_is_gone_by_then(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []
    events: list[str] = []

    def save(path: Path, state: TrainingState, _: object) -> None:
        alive.extend(weakref.ref(tensor) for tensor in state.model.values())
        events.append(f"{path.name} begins")
        time.sleep(0.2)
        events.append(f"{path.name} ends")

    def copy_alone(state: TrainingState) -> TrainingState:
        events.append("copy")
        assert not any(tensor() is not None for tensor in alive)
        return copied(state)

    monkeypatch.setattr(checkpoint, "save", save)
    monkeypatch.setattr(writer, "copied", copy_alone)
    with CheckpointWriter() as writing:
        for name in ("a", "b"):
            writing.save(tmp_path / name, snapshot())
    assert events == ["copy", "a begins", "a ends", "copy", "b begins", "b ends"]
    assert len(alive) > 20


def test_a_failure_is_raised_at_the_next_check(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "save", fail)
    with CheckpointWriter() as writing:
        writing.save(Path("last.pt"), snapshot())
        with pytest.raises(OSError, match="free some disk") as failure:
            for _ in range(1000):
                writing.check()
                time.sleep(0.01)
        writing.check()  # reported once
    assert (failure.value.errno, failure.value.filename) == (28, "last.pt")


def test_a_check_waits_for_nothing(snapshot: Snapshot, tmp_path: Path, gate: threading.Event) -> None:
    with CheckpointWriter() as writing:
        writing.check()
        writing.save(tmp_path / "last.pt", snapshot())
        writing.check()
        assert not (tmp_path / "last.pt").exists()
        gate.set()
    assert (tmp_path / "last.pt").exists()


def test_a_thread_that_ends_in_any_way_but_well_is_noticed(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(*_: object) -> None:
        raise SystemExit

    monkeypatch.setattr(checkpoint, "save", end)
    with pytest.raises(SystemExit), CheckpointWriter() as writing:
        writing.save(Path("last.pt"), snapshot())


@pytest.mark.parametrize("second", [False, True])
def test_a_failure_is_raised_at_the_end_or_by_a_second_one(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, second: bool
) -> None:
    monkeypatch.setattr(checkpoint, "save", fail)
    with pytest.raises(OSError, match="free some disk"), CheckpointWriter() as writing:
        writing.save(Path("last.pt"), snapshot())
        if second:
            writing.save(Path("last.pt"), snapshot())
            raise AssertionError("the second one must not begin")


def test_a_failure_does_not_hide_the_error_that_ends_the_run(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(checkpoint, "save", fail)
    with pytest.raises(ValueError, match="diverged"), CheckpointWriter() as writing:
        writing.save(Path("last.pt"), snapshot())
        raise ValueError("diverged")
    assert "free some disk" in capsys.readouterr().err


def test_a_signal_interrupts_the_wait_and_the_end_still_waits(
    snapshot: Snapshot, tmp_path: Path, gate: threading.Event
) -> None:
    class Hurry(Exception):
        pass

    def hurry(*_: object) -> None:
        gate.set()
        raise Hurry

    before = signal.signal(signal.SIGUSR2, hurry)
    try:
        with pytest.raises(Hurry), CheckpointWriter() as writing:
            writing.save(tmp_path / "last.pt", snapshot())
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGUSR2)).start()
            writing.wait()
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert checkpoint.read(tmp_path / "last.pt").evaluated_epoch == 1


def test_signals_reach_the_main_thread_alone(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked: list[set[Any]] = []
    monkeypatch.setattr(
        checkpoint, "save", lambda *_: blocked.append(set(signal.pthread_sigmask(signal.SIG_BLOCK, [])))
    )
    with CheckpointWriter() as writing:
        writing.save(Path("last.pt"), snapshot())
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGALRM} <= blocked[0]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_copy_shares_no_memory(snapshot: Snapshot) -> None:
    state = snapshot()
    twin, before = copied(state), copy.deepcopy(state)
    pointers = {tensor.data_ptr() for tensor in state.model.values()}
    assert pointers.isdisjoint(tensor.data_ptr() for tensor in twin.model.values())
    assert checkpoint.digest([twin.model, twin.optimizer]) == checkpoint.digest([before.model, before.optimizer])
