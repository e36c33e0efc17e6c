"""A run that was stopped or killed ends as if it had not been: the same losses, error rates and weights, to the bit."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.commands import ROOT
from speech_recognition.mlperf.check import check_log
from speech_recognition.runs import checkpoint

TIMES = {"seconds", "waiting_seconds", "saving_seconds", "audio_rate", "eval_seconds"}

Words = Callable[..., list[str]]


def start(words: list[str]) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    command, environment = [sys.executable, "-m", "speech_recognition", *words], os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(folder: Path) -> tuple[list[dict[str, str]], checkpoint.TrainingState]:
    """Return the table without its times, and the last checkpoint."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]
    return rows, checkpoint.read(folder / "checkpoints" / "last.pt")


def assert_same(folder: Path, other: Path) -> None:
    (rows, snapshot), (other_rows, other_snapshot) = outcome(folder), outcome(other)
    assert rows == other_rows and len(rows) == 3
    assert all(snapshot.model[name].equal(value) for name, value in other_snapshot.model.items())
    states = zip(snapshot.optimizer["state"].values(), other_snapshot.optimizer["state"].values(), strict=True)
    assert all(state[name].equal(value) for state, other in states for name, value in other.items())


@pytest.mark.parametrize("kill", range(3))
def test_a_killed_run_goes_on_to_the_same_bits(words: Words, whole: Path, tmp_path: Path, kill: int) -> None:
    folder = tmp_path / "run"
    with start(words(folder, "--seed", 1)) as process:
        while not (folder / "checkpoints" / "last.pt").exists():
            time.sleep(0.001)
            assert process.poll() is None
        time.sleep(random.uniform(0, 0.4))
        process.kill()
    with start(words(folder, "--resume")) as process:
        assert process.communicate(timeout=120) and process.returncode == 3
    assert_same(folder, whole)
    assert not list(folder.rglob(".*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_ends_with_its_status(
    words: Words, whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    with start(words(folder, "--seed", 1, "--set", "training.save_steps=0")) as process:
        while "epoch_start" not in (process.stdout.readline() if process.stdout else ""):
            assert process.poll() is None
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and f"stopped by {number.name}\n" in errors
    assert "Traceback" not in errors and str(folder / "checkpoints" / "last.pt") in errors
    assert '"run_stop"' in output.splitlines()[-1] and '"aborted"' in output.splitlines()[-1]
    with start(words(folder, "--resume", "--set", "training.save_steps=0")) as process:
        assert process.communicate(timeout=120) and process.returncode == 3
    assert_same(folder, whole)


class Kill(BaseException):
    """A kill inside this process: nothing catches it."""


@pytest.mark.parametrize(
    ("place", "calls"),
    [
        ("speech_recognition.decoding.greedy.length_mask", 1),
        ("speech_recognition.decoding.greedy.length_mask", 7),
        ("torch.save", 9),
        ("os.fsync", 5),
        ("os.replace", 11),
        ("os.link", 1),
        ("os.link", 2),
    ],
)
def test_kills_in_evaluation_and_while_saving(
    words: Words, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, calls: int
) -> None:
    folder, count = tmp_path / "run", iter(range(calls))

    def killed(*positional: object, **named: object) -> object:
        if next(count, None) is None:
            raise Kill
        return original(*positional, **named)

    with monkeypatch.context() as patch:
        module, _, name = place.rpartition(".")
        original = getattr(sys.modules[module], name)
        patch.setattr(place, killed)
        with pytest.raises(Kill):
            main(words(folder, "--seed", 1, "--set", "data.eval_batch_size=2"))
    assert main(words(folder, "--resume", "--set", "data.eval_batch_size=2")) == 3
    assert_same(folder, whole)


def test_a_continuation_has_a_log_of_its_own_which_the_closed_rules_refuse(
    words: Words, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    checkpoint.save(folder / "checkpoints" / "last.pt", checkpoint.read(whole / "checkpoints" / "epoch_01.pt"))
    (folder / "speech_ds2.out").write_text("of the run that was killed\n")
    assert main(words(folder, "--resume")) == 3
    assert (folder / "speech_ds2.out").read_text() == "of the run that was killed\n"
    log = folder / "speech_ds2_resumed_1.out"
    assert any("resumed" in str(violation) for violation in check_log(log, "closed"))
    assert [str(v) for v in check_log(log, "open") if "run_stop" not in str(v)] == []
    assert_same(folder, whole)


def test_from_the_end_of_an_epoch(words: Words, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for epoch in (1, 2):
        path = checkpoint.epoch_path(folder / "checkpoints", epoch)
        checkpoint.save(path, checkpoint.read(checkpoint.epoch_path(whole / "checkpoints", epoch)), ["last.pt"])
    assert main(words(folder, "--resume", "1")) == 3
    assert_same(folder, whole)
    log = (folder / "speech_ds2.out").read_text()
    assert "\nepoch 1:" not in log and "\nepoch 2:" in log


def test_a_damaged_checkpoint_is_passed_over_aloud(
    words: Words, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    checkpoint.save(folder / "checkpoints" / "epoch_01.pt", checkpoint.read(whole / "checkpoints" / "epoch_01.pt"))
    (folder / "checkpoints" / "last.pt").write_bytes((whole / "checkpoints" / "last.pt").read_bytes()[:5000])
    assert main(words(folder, "--resume")) == 3
    errors = capsys.readouterr().err
    assert "last.pt: no checkpoint of this benchmark, or damaged" in errors and "the one before is used" in errors
    assert_same(folder, whole)


def test_killed_before_the_first_checkpoint_it_begins_again(words: Words, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "params.json").write_text("{}")
    (tmp_path / "run" / "speech_ds2.out").write_text("the beginning of a log\n")
    assert main(words(tmp_path / "run", "--resume", "--seed", 1)) == 3
    assert_same(tmp_path / "run", whole)
    assert (tmp_path / "run" / "speech_ds2.out").read_text() == "the beginning of a log\n"
