"""Tests of the choice of the run to go on with, and of what is refused before a run goes on."""

import dataclasses
import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.corpus.manifest import read_manifest, write_manifest
from speech_recognition.errors import InputError
from speech_recognition.runs import checkpoint
from speech_recognition.runs.folder import newest_runs
from speech_recognition.training import resume

Words = Callable[..., list[str]]


@pytest.fixture
def half(whole: Path, tmp_path: Path) -> Path:
    """Return the folder of a run that has two of three epochs behind it."""
    checkpoint.save(
        tmp_path / "half" / "checkpoints" / "last.pt", checkpoint.read(whole / "checkpoints" / "epoch_02.pt")
    )
    return tmp_path / "half"


def test_other_parameters_are_refused_with_the_difference(
    words: Words, half: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = ["--resume", "--set", "optimizer.learning_rate=0.5", "--set", "model.rnn_units=9"]
    assert main(words(half, *changes)) == 2
    message = capsys.readouterr().err.splitlines()[-1]
    assert "model.rnn_units=8, not 9; optimizer.learning_rate=0.003, not 0.5" in message
    assert sorted(path.name for path in half.iterdir()) == ["checkpoints"]


def test_another_seed_is_refused(words: Words, half: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(half, "--resume", "--seed", 2)) == 2
    assert "last.pt has the seed 1; leave --seed out" in capsys.readouterr().err


def test_other_training_data_is_refused(
    words: Words, tone_dataset: Path, half: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = read_manifest(tone_dataset / "manifests" / "train.csv")
    write_manifest(tmp_path / "train.csv", [dataclasses.replace(first, transcript="BED"), *others])
    assert main(words(half, "--resume", "--train-manifest", tmp_path / "train.csv")) == 2
    assert "train.csv: not the utterances that the checkpoint was trained on" in capsys.readouterr().err


@pytest.mark.parametrize("change", [{"transcript": "BED"}, {"subset": "custom"}])
def test_other_validation_data_is_refused_before_any_training(
    words: Words,
    tone_dataset: Path,
    half: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
) -> None:
    first, *others = read_manifest(tone_dataset / "manifests" / "val.csv")
    write_manifest(tmp_path / "val.csv", [dataclasses.replace(first, **change), *others])
    before = (half / "checkpoints" / "last.pt").read_bytes()
    assert main(words(half, "--resume", "--val-manifest", tmp_path / "val.csv")) == 2
    captured = capsys.readouterr()
    assert "val.csv: not the utterances that the run was evaluated on; name those" in captured.err
    assert captured.out == "", "no log is begun"
    assert (half / "checkpoints" / "last.pt").read_bytes() == before and not (half / "metrics.csv").exists()


def test_an_optimizer_state_that_does_not_fit_is_said_in_a_line(
    words: Words, half: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = half / "checkpoints" / "last.pt"
    checkpoint.save(path, dataclasses.replace(checkpoint.read(path), optimizer={"state": {}, "param_groups": [{}]}))
    assert main(words(half, "--resume")) == 2
    assert "error: the checkpoint's weights or optimizer state do not fit its parameters" in capsys.readouterr().err


def test_a_full_disk_ends_the_run_as_a_failure(
    words: Words, half: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, file: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("torch.save", full)
    assert main(words(half, "--resume")) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert message.endswith(
        "last.pt: cannot be written (No space left on device);"
        " free some disk, then run the command again (`train` with --resume)"
    )


@pytest.mark.parametrize("seed", ['"5"', "5.5", "-1", "4294967296", "true", "[5]", "NaN", "null", '"a\\u001b[2J"'])
def test_a_logged_seed_that_is_none_is_refused(tmp_path: Path, seed: str) -> None:
    line = f':::MLLOG {{"time_ms": 1, "event_type": "", "key": "seed", "value": {seed}, "metadata": {{}}}}\n'
    (tmp_path / "speech_ds2.out").write_text(line)
    with pytest.raises(InputError, match=r"speech_ds2\.out: its seed is .*, must be from 0 to 4294967295"):
        resume.logged_seed(tmp_path)


def test_an_imported_checkpoint_is_no_run_to_go_on_with(whole: Path, tmp_path: Path) -> None:
    trained = checkpoint.read(whole / "checkpoints" / "epoch_02.pt")
    imported = checkpoint.TrainingState.of_weights(trained.params, trained.model, epoch=20)
    checkpoint.save(tmp_path / "checkpoints" / "last.pt", imported)
    with pytest.raises(InputError, match=r"last\.pt: was imported, and no training can go on from it"):
        resume.find("mini", tmp_path, tmp_path, None, None)


def test_the_logged_seed_is_that_of_the_newest_log(tmp_path: Path) -> None:
    line = ':::MLLOG {{"time_ms": 1, "event_type": "", "key": "seed", "value": {}, "metadata": {{}}}}\n'
    for name, seed in (("speech_ds2.out", 1), ("speech_ds2_resumed_2.out", 2), ("speech_ds2_resumed_10.out", 10)):
        (tmp_path / name).write_text(line.format(seed))
    assert resume.logged_seed(tmp_path) == 10


def test_a_run_that_has_ended_has_nothing_left_to_do(
    words: Words, whole: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(path.name for path in whole.rglob("*"))
    assert main(words(whole, "--resume")) == 3
    assert "has ended; nothing is left to do" in capsys.readouterr().err
    assert sorted(path.name for path in whole.rglob("*")) == before


def test_without_a_checkpoint_it_begins_aloud(words: Words, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words(tmp_path / "run", "--resume", "--set", "training.epochs=1")) == 3
    assert f"note: no checkpoint in {tmp_path / 'run'} yet; from scratch" in capsys.readouterr().err


def test_a_folder_of_something_else_is_not_resumed_into(
    words: Words, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").touch()
    assert main(words(tmp_path, "--resume")) == 2
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
    series = tmp_path / "mini_20261123_100000_1" / "run_0"  # whose folder is named as a run's is
    series.mkdir(parents=True)
    assert series.parent not in [each.path for each in newest_runs("mini", tmp_path)]
    found = resume.find("mini", None, tmp_path, None, None)
    assert found is not None and found.folder.name == names[1] and not found.ended
    assert resume.find("reference", None, tmp_path, None, None) is None
