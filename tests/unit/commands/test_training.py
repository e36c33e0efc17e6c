"""What the command `train` does before the training process begins."""

import json
from pathlib import Path

import pytest

import params
from speech_recognition.cli import main
from speech_recognition.commands.training import make_embedded_dataset
from speech_recognition.corpus.counts import Counts, read_counts, write_counts
from speech_recognition.errors import InputError
from speech_recognition.runtime import page_cache
from speech_recognition.training import division


def test_the_embedded_data_are_made_by_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(division, "run_command", lambda *words: commands.append(words))
    make_embedded_dataset(params.mini(), Path("data"))
    assert commands == [("download", "mini", "--data-dir", "data")]


def test_a_dataset_of_the_users_own_is_left_alone(tone_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "run_command", lambda *_: pytest.fail("a command was run"))
    make_embedded_dataset(params.mini(), tone_dataset)
    make_embedded_dataset(params.reference(), Path("data"))


def test_a_dataset_that_calls_itself_the_embedded_one_is_not_replaced(
    tone_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it is the embedded one is for the verification to say; its files stay."""
    counts = read_counts(tone_dataset)
    write_counts(tmp_path, Counts("mini", counts.train, counts.val, counts.test))
    monkeypatch.setattr(division, "run_command", lambda *_: pytest.fail("a command was run"))
    make_embedded_dataset(params.mini(), tmp_path)


def test_the_parameters_of_a_run_name_the_data_that_it_used(tone_dataset: Path, tmp_path: Path) -> None:
    sets = ["model.conv_channels=2", "model.rnn_units=8", "training.epochs=1", "training.target_wer=0"]
    options = [word for assignment in sets for word in ("--set", assignment)]
    arguments = ["train", "--preset", "mini", "--data-dir", str(tone_dataset), "--output-dir", str(tmp_path / "run")]
    assert main([*arguments, *options]) == 3
    assert json.loads((tmp_path / "run" / "params.json").read_text())["data"]["dataset"] == str(tone_dataset)


@pytest.mark.parametrize("root", [True, False])
def test_a_run_is_prepared_with_the_right_to_drop_the_page_cache(root: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def record(*_: object, drops_caches: bool, **__: object) -> None:
        given.append(drops_caches)
        raise InputError("enough")

    monkeypatch.setattr(page_cache, "can_drop", lambda: root)
    monkeypatch.setattr("speech_recognition.training.prepare.prepare", record)
    assert main(["train", "--preset", "mini", "--device", "cpu"]) == 2
    assert given == [root]


def test_a_run_without_its_downloaded_dataset_says_how_to_make_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "small_dataset"
    assert main(["train", "--preset", "small", "--timed", "--device", "cpu", "--data-dir", str(folder)]) == 2
    expected = f"{folder}: no such folder; make it with: sh download_dataset.sh small --data-dir {folder} (0.5 GB of"
    assert expected in capsys.readouterr().err.splitlines()[-1]
