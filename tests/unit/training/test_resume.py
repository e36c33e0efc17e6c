"""A run that was stopped or killed ends as if it had not been: the same losses, error rates and weights, to the bit."""

import csv
import dataclasses
import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.commands import ROOT
from speech_recognition.corpus.manifest import read_manifest, write_manifest
from speech_recognition.errors import InputError
from speech_recognition.mlperf.check import check_log
from speech_recognition.runs import checkpoint
from speech_recognition.training import resume, trainer

TINY = [
    "model.conv_channels=2",
    "model.rnn_units=8",
    "data.batch_size=4",
    "data.accumulation_steps=2",
    "training.epochs=3",
    "training.save_steps=1",
    "training.target_wer=0",
    "submission.division=open",
]
TIMES = {"seconds", "waiting_seconds", "saving_seconds", "audio_rate", "eval_seconds"}


def arguments(dataset: Path, folder: Path, *more: object) -> list[str]:
    sets = [word for assignment in TINY for word in ("--set", assignment)]
    options = ["--preset", "mini", "--data-dir", dataset, "--output-dir", folder, *sets, *more]
    return ["train", *map(str, options)]


def start(dataset: Path, folder: Path, *more: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "speech_recognition", *arguments(dataset, folder, *more)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def outcome(folder: Path) -> tuple[list[dict[str, str]], checkpoint.TrainingState]:
    """The table without its times, and the last checkpoint."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [{name: value for name, value in row.items() if name not in TIMES} for row in csv.DictReader(file)]
    return rows, checkpoint.read(folder / "checkpoints" / "last.pt")


def assert_same(folder: Path, other: Path) -> None:
    (rows, snapshot), (other_rows, other_snapshot) = outcome(folder), outcome(other)
    assert rows == other_rows and len(rows) == 3
    assert all(snapshot.model[name].equal(value) for name, value in other_snapshot.model.items())
    states = zip(snapshot.optimizer["state"].values(), other_snapshot.optimizer["state"].values(), strict=True)
    assert all(state[name].equal(value) for state, other in states for name, value in other.items())


@pytest.fixture(scope="module")
def whole(tone_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    with start(tone_dataset, folder, "--seed", 1) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 3, errors
    return folder


@pytest.mark.parametrize("kill", range(3))
def test_a_killed_run_goes_on_to_the_same_bits(tone_dataset: Path, whole: Path, tmp_path: Path, kill: int) -> None:
    folder = tmp_path / "run"
    with start(tone_dataset, folder, "--seed", 1) as process:
        while not (folder / "checkpoints" / "last.pt").exists():
            time.sleep(0.001)
            assert process.poll() is None
        time.sleep(random.uniform(0, 0.4))
        process.kill()
    with start(tone_dataset, folder, "--resume") as process:
        assert process.communicate(timeout=120) and process.returncode == 3
    assert_same(folder, whole)
    assert not list(folder.rglob(".*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_and_ends_with_its_status(
    tone_dataset: Path, whole: Path, tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    with start(tone_dataset, folder, "--seed", 1, "--set", "training.save_steps=0") as process:
        while "epoch_start" not in (process.stdout.readline() if process.stdout else ""):
            assert process.poll() is None
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and f"stopped by {number.name}\n" in errors
    assert "Traceback" not in errors and str(folder / "checkpoints" / "last.pt") in errors
    assert '"run_stop"' in output.splitlines()[-1] and '"aborted"' in output.splitlines()[-1]
    with start(tone_dataset, folder, "--resume", "--set", "training.save_steps=0") as process:
        assert process.communicate(timeout=120) and process.returncode == 3
    assert_same(folder, whole)


class Kill(BaseException):
    """A kill inside this process: nothing catches it."""


@pytest.mark.parametrize(
    ("place", "calls"),
    [
        ("speech_recognition.recognizer.greedy", 1),
        ("speech_recognition.recognizer.greedy", 7),
        ("torch.save", 9),
        ("os.fsync", 5),
        ("os.replace", 11),
        ("os.link", 1),
        ("os.link", 2),
    ],
)
def test_kills_in_evaluation_and_while_saving(
    tone_dataset: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, calls: int
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
        if "evaluation" in place:
            patch.setattr(trainer, "transcribe", original)
        with pytest.raises(Kill):
            main(arguments(tone_dataset, folder, "--seed", 1, "--set", "data.eval_batch_size=2"))
    assert main(arguments(tone_dataset, folder, "--resume", "--set", "data.eval_batch_size=2")) == 3
    assert_same(folder, whole)


def test_a_continuation_has_a_log_of_its_own_which_the_closed_rules_refuse(
    tone_dataset: Path, whole: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    checkpoint.save(folder / "checkpoints" / "last.pt", checkpoint.read(whole / "checkpoints" / "epoch_01.pt"))
    (folder / "speech_ds2.out").write_text("of the run that was killed\n")
    assert main(arguments(tone_dataset, folder, "--resume")) == 3
    assert (folder / "speech_ds2.out").read_text() == "of the run that was killed\n"
    log = folder / "speech_ds2_resumed_1.out"
    assert any("resumed" in str(violation) for violation in check_log(log, "closed"))
    assert [str(v) for v in check_log(log, "open") if "run_stop" not in str(v)] == []
    assert_same(folder, whole)


def test_from_the_end_of_an_epoch(tone_dataset: Path, whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    for epoch in (1, 2):
        path = checkpoint.epoch_path(folder / "checkpoints", epoch)
        checkpoint.save(path, checkpoint.read(checkpoint.epoch_path(whole / "checkpoints", epoch)), ["last.pt"])
    assert main(arguments(tone_dataset, folder, "--resume", "1")) == 3
    assert_same(folder, whole)
    log = (folder / "speech_ds2.out").read_text()
    assert "\nepoch 1:" not in log and "\nepoch 2:" in log


def test_a_damaged_checkpoint_is_passed_over_aloud(
    tone_dataset: Path, whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    checkpoint.save(folder / "checkpoints" / "epoch_01.pt", checkpoint.read(whole / "checkpoints" / "epoch_01.pt"))
    (folder / "checkpoints" / "last.pt").write_bytes((whole / "checkpoints" / "last.pt").read_bytes()[:5000])
    assert main(arguments(tone_dataset, folder, "--resume")) == 3
    errors = capsys.readouterr().err
    assert "last.pt: no checkpoint of this benchmark, or damaged" in errors and "the one before is used" in errors
    assert_same(folder, whole)


@pytest.fixture
def half(whole: Path, tmp_path: Path) -> Path:
    """The folder of a run that has two of three epochs behind it."""
    checkpoint.save(
        tmp_path / "half" / "checkpoints" / "last.pt", checkpoint.read(whole / "checkpoints" / "epoch_02.pt")
    )
    return tmp_path / "half"


def test_other_parameters_are_refused_with_the_difference(
    tone_dataset: Path, half: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ["--resume", "--set", "optimizer.learning_rate=0.5", "--set", "model.rnn_units=9"]
    assert main(arguments(tone_dataset, half, *changes)) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "model.rnn_units=8, not 9; optimizer.learning_rate=0.002, not 0.5" in message
    assert sorted(path.name for path in half.iterdir()) == ["checkpoints"]


def test_another_seed_is_refused(tone_dataset: Path, half: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(tone_dataset, half, "--resume", "--seed", 2)) == 2
    assert "last.pt has the seed 1; leave --seed out" in capsys.readouterr().err


def test_other_training_data_is_refused(
    tone_dataset: Path, half: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = read_manifest(tone_dataset / "manifests" / "train.csv")
    write_manifest(tmp_path / "train.csv", [dataclasses.replace(first, transcript="BED"), *others])
    assert main(arguments(tone_dataset, half, "--resume", "--train-manifest", tmp_path / "train.csv")) == 2
    assert "train.csv: not the utterances that the checkpoint was trained on" in capsys.readouterr().err


@pytest.mark.parametrize("change", [{"transcript": "BED"}, {"subset": "custom"}])
def test_other_validation_data_is_refused_before_any_training(
    tone_dataset: Path, half: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, str]
) -> None:
    first, *others = read_manifest(tone_dataset / "manifests" / "val.csv")
    write_manifest(tmp_path / "val.csv", [dataclasses.replace(first, **change), *others])
    before = (half / "checkpoints" / "last.pt").read_bytes()
    assert main(arguments(tone_dataset, half, "--resume", "--val-manifest", tmp_path / "val.csv")) == 2
    captured = capsys.readouterr()
    assert "val.csv: not the utterances that the run was evaluated on; name those" in captured.err
    assert captured.out == "", "no log is begun"
    assert (half / "checkpoints" / "last.pt").read_bytes() == before and not (half / "metrics.csv").exists()


def test_an_optimizer_state_that_does_not_fit_is_said_in_a_line(
    tone_dataset: Path, half: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = half / "checkpoints" / "last.pt"
    checkpoint.save(path, dataclasses.replace(checkpoint.read(path), optimizer={"state": {}, "param_groups": [{}]}))
    assert main(arguments(tone_dataset, half, "--resume")) == 2
    assert "error: the checkpoint's weights or optimizer state do not fit its parameters" in capsys.readouterr().err


def test_a_full_disk_ends_the_run_as_a_failure(
    tone_dataset: Path, half: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torch.save", full)
    assert main(arguments(tone_dataset, half, "--resume")) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.endswith("last.pt: cannot be written (No space left on device); free some disk, then --resume")


@pytest.mark.parametrize("seed", ['"5"', "5.5", "-1", "4294967296", "true", "[5]", "NaN", "null", '"a\\u001b[2J"'])
def test_a_logged_seed_that_is_none_is_refused(tmp_path: Path, seed: str) -> None:
    line = f':::MLLOG {{"time_ms": 1, "event_type": "", "key": "seed", "value": {seed}, "metadata": {{}}}}\n'
    (tmp_path / "speech_ds2.out").write_text(line)
    with pytest.raises(InputError, match=r"speech_ds2\.out: its seed is .*, must be from 0 to 4294967295"):
        resume.logged_seed(tmp_path)


def test_the_logged_seed_is_that_of_the_newest_log(tmp_path: Path) -> None:
    line = ':::MLLOG {{"time_ms": 1, "event_type": "", "key": "seed", "value": {}, "metadata": {{}}}}\n'
    for name, seed in (("speech_ds2.out", 1), ("speech_ds2_resumed_2.out", 2), ("speech_ds2_resumed_10.out", 10)):
        (tmp_path / name).write_text(line.format(seed))
    assert resume.logged_seed(tmp_path) == 10


def test_a_run_that_has_ended_has_nothing_left_to_do(
    tone_dataset: Path, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in whole.rglob("*"))
    assert main(arguments(tone_dataset, whole, "--resume")) == 3
    assert "has ended; nothing is left to do" in capsys.readouterr().err
    assert sorted(path.name for path in whole.rglob("*")) == before


def test_without_a_checkpoint_it_begins_aloud(
    tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments(tone_dataset, tmp_path / "run", "--resume", "--set", "training.epochs=1")) == 3
    assert f"note: no checkpoint in {tmp_path / 'run'} yet; from scratch" in capsys.readouterr().err


def test_killed_before_the_first_checkpoint_it_begins_again(tone_dataset: Path, whole: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "params.json").write_text("{}")
    (tmp_path / "run" / "speech_ds2.out").write_text("the beginning of a log\n")
    assert main(arguments(tone_dataset, tmp_path / "run", "--resume", "--seed", 1)) == 3
    assert_same(tmp_path / "run", whole)
    assert (tmp_path / "run" / "speech_ds2.out").read_text() == "the beginning of a log\n"


def test_a_folder_of_something_else_is_not_resumed_into(
    tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").touch()
    assert main(arguments(tone_dataset, tmp_path, "--resume")) == 2
    assert "exists already" in capsys.readouterr().err


def test_a_wanted_epoch_that_is_not_there_is_refused(half: Path) -> None:
    with pytest.raises(InputError, match=r"--resume 7: .*epoch_07\.pt does not exist; choose an epoch"):
        resume.find("mini", half, half.parent, 7, None)
    with pytest.raises(InputError, match="--resume 7: no checkpoint in"):
        resume.find("mini", half / "none", half.parent, 7, None)


def test_the_newest_folder_of_the_preset_is_taken(whole: Path, tmp_path: Path) -> None:
    snapshot = checkpoint.read(whole / "checkpoints" / "epoch_02.pt")
    names = [
        "mini_20261120_100000_9",
        "mini_20261121_090000_1",
        "mini_20261121_100000_2",
        "reference_20261122_100000_3",
    ]
    for name in (*names, "mini_notes"):
        (tmp_path / name).mkdir()
    for name in names[:2]:
        checkpoint.save(tmp_path / name / "checkpoints" / "last.pt", snapshot)
    found = resume.find("mini", None, tmp_path, None, None)
    assert found is not None and found.folder.name == names[1] and not found.ended
    assert resume.find("reference", None, tmp_path, None, None) is None
