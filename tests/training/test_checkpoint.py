import dataclasses
from pathlib import Path

import pytest
import torch

import params
from speech_recognition.errors import InputError
from speech_recognition.model import build_model
from speech_recognition.training import checkpoint

SMALL = dataclasses.replace(params.mini(), model=dataclasses.replace(params.mini().model, conv_channels=2, rnn_units=4))
CPU = torch.device("cpu")


def test_a_model_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    model = build_model(SMALL.model, 64, seed=1)
    checkpoint.save(tmp_path, SMALL, 3, 41.5, model, is_best=True)
    loaded = checkpoint.load(tmp_path / "best.pt", CPU)
    assert (loaded.params, loaded.epoch, loaded.wer) == (SMALL, 3, 41.5)
    assert not loaded.model.training
    for name, value in model.state_dict().items():
        assert loaded.model.state_dict()[name].equal(value), name


def test_best_stays_while_last_moves(tmp_path: Path) -> None:
    model = build_model(SMALL.model, 64, seed=1)
    for epoch, wer, is_best in ((1, 50.0, True), (2, 60.0, False)):
        checkpoint.save(tmp_path, SMALL, epoch, wer, model, is_best)
    assert checkpoint.load(tmp_path / "best.pt", CPU).epoch == 1
    assert checkpoint.load(tmp_path / "last.pt", CPU).epoch == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "epoch_01.pt", "epoch_02.pt", "last.pt"]


def test_a_file_system_without_links_gets_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    checkpoint.save(tmp_path, SMALL, 1, 50.0, build_model(SMALL.model, 64, seed=1), is_best=True)
    assert (tmp_path / "best.pt").read_bytes() == (tmp_path / "epoch_01.pt").read_bytes()


class Bomb:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object]]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("content", ["truncated", "text", "empty", "foreign", "other shapes", "code"])
def test_what_is_no_checkpoint_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.pt"
    checkpoint.save(tmp_path, SMALL, 1, 50.0, build_model(SMALL.model, 64, seed=1), is_best=False)
    good = (tmp_path / "epoch_01.pt").read_bytes()
    if content == "truncated":
        path.write_bytes(good[: len(good) // 2])
    elif content == "text":
        path.write_text("not a checkpoint")
    elif content == "empty":
        path.touch()
    elif content == "foreign":
        torch.save({"state_dict": {}}, path)
    elif content == "other shapes":
        whole = torch.load(tmp_path / "epoch_01.pt", weights_only=True)
        whole["model"]["linear.weight"] = torch.zeros(3, 3)
        torch.save(whole, path)
    else:
        torch.save({"params": Bomb(tmp_path / "exploded")}, path)
    with pytest.raises(InputError) as refusal:
        checkpoint.load(path, CPU)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)
    assert not (tmp_path / "exploded").exists()


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pt: no such checkpoint"):
        checkpoint.load(tmp_path / "gone.pt", CPU)
