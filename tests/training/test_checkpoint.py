import dataclasses
import random
from pathlib import Path

import pytest
import torch

import params
from speech_recognition.errors import InputError
from speech_recognition.model import build_model
from speech_recognition.training import checkpoint
from speech_recognition.training.optimizers import build_optimizer

SMALL = dataclasses.replace(params.mini(), model=dataclasses.replace(params.mini().model, conv_channels=2, rnn_units=4))
CPU = torch.device("cpu")


def snapshot(epoch: int = 1) -> checkpoint.Snapshot:
    """A run after `epoch` epochs, of which only the first moments of its optimizer are made up."""
    model = build_model(SMALL.model, 64, seed=epoch)
    optimizer = build_optimizer(SMALL.optimizer, model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return checkpoint.Snapshot(
        params=SMALL,
        seed=5,
        train_set="ab12",
        tally={"epoch": epoch, "steps": 3, "loss": 0.1},
        metrics=[{"epoch": number, "wer": 50.0 + number} for number in range(1, epoch + 1)],
        model=model.state_dict(),
        optimizer=optimizer.state_dict(),
    )


def save_run(folder: Path, epochs: int = 3) -> None:
    for epoch in range(1, epochs + 1):
        checkpoint.save(checkpoint.epoch_path(folder, epoch), snapshot(epoch), ["last.pt"])


def test_a_run_comes_back_as_it_was_saved(tmp_path: Path) -> None:
    saved = snapshot()
    checkpoint.save(tmp_path / "last.pt", saved)
    read = checkpoint.read(tmp_path / "last.pt")
    for name in ("params", "seed", "train_set", "tally", "metrics"):
        assert getattr(read, name) == getattr(saved, name)
    assert (read.wer, read.evaluated_epoch) == (51.0, 1)
    for name, value in saved.model.items():
        assert read.model[name].equal(value), name
    for index, state in saved.optimizer["state"].items():
        assert all(read.optimizer["state"][index][name].equal(value) for name, value in state.items())
    assert read.optimizer["param_groups"] == saved.optimizer["param_groups"]


def test_a_model_comes_back_ready_to_evaluate(tmp_path: Path) -> None:
    saved = snapshot()
    checkpoint.save(tmp_path / "last.pt", saved)
    loaded = checkpoint.load(tmp_path / "last.pt", CPU)
    assert loaded.params == SMALL and not loaded.model.training
    assert all(loaded.model.state_dict()[name].equal(value) for name, value in saved.model.items())


@pytest.mark.parametrize("links", [True, False])
def test_other_names_hold_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr("os.link", refuse)
    checkpoint.save(tmp_path / "epoch_01.pt", snapshot(), ["last.pt", "best.pt"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "epoch_01.pt", "last.pt"]
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_full_disk_is_said_in_one_line_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object, path: Path) -> None:
        path.write_bytes(b"PK half of it")
        raise RuntimeError("PytorchStreamWriter failed writing file data/3: file write failed\nand a page of frames")

    checkpoint.save(tmp_path / "last.pt", snapshot())
    good = (tmp_path / "last.pt").read_bytes()
    monkeypatch.setattr("torch.save", full)
    with pytest.raises(InputError, match=r"last\.pt: cannot be written \(Pytorch.*failed\); free some disk$"):
        checkpoint.save(tmp_path / "last.pt", snapshot(2))
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"] and (tmp_path / "last.pt").read_bytes() == good


def test_the_newest_is_that_within_an_epoch_then_the_last_epochs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checkpoint.newest(tmp_path) is None
    save_run(tmp_path)
    assert checkpoint.newest(tmp_path)[0] == tmp_path / "last.pt"  # type: ignore[index]
    (tmp_path / "last.pt").unlink()
    (tmp_path / "epoch_03.pt").write_bytes(b"PK")
    path, found = checkpoint.newest(tmp_path)  # type: ignore[misc]
    assert (path, found.evaluated_epoch) == (tmp_path / "epoch_02.pt", 2)
    assert "epoch_03.pt: no checkpoint of this benchmark, or damaged" in capsys.readouterr().err


def test_when_none_is_whole_the_folder_is_named(tmp_path: Path) -> None:
    save_run(tmp_path, epochs=1)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="no checkpoint is whole"):
        checkpoint.newest(tmp_path)


def test_a_flipped_byte_anywhere_is_noticed(tmp_path: Path) -> None:
    path, draw = tmp_path / "x.pt", random.Random(1)
    checkpoint.save(path, snapshot())
    good = path.read_bytes()
    original = checkpoint.read(path)
    for _ in range(100):
        place = draw.randrange(len(good))
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << draw.randrange(8)]) + good[place + 1 :])
        try:
            read = checkpoint.read(path)
        except InputError:
            continue
        # What nobody reads, such as zip's padding and its file dates, may differ.
        assert all(read.model[name].equal(value) for name, value in original.model.items())
        assert (read.tally, read.metrics, read.seed) == (original.tally, original.metrics, original.seed)


class Bomb:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[object]]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("content", ["truncated", "text", "empty", "foreign", "other shapes", "code"])
def test_what_is_no_checkpoint_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.pt"
    checkpoint.save(tmp_path / "good.pt", snapshot())
    good = (tmp_path / "good.pt").read_bytes()
    if content == "truncated":
        path.write_bytes(good[: len(good) // 2])
    elif content == "text":
        path.write_text("not a checkpoint")
    elif content == "empty":
        path.touch()
    elif content == "foreign":
        torch.save({"state_dict": {}}, path)
    elif content == "other shapes":
        weights = snapshot().model | {"linear.weight": torch.zeros(3, 3)}
        checkpoint.save(path, dataclasses.replace(snapshot(), model=weights))
    else:
        torch.save({"params": Bomb(tmp_path / "exploded")}, path)
    with pytest.raises(InputError) as refusal:
        checkpoint.load(path, CPU)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)
    assert not (tmp_path / "exploded").exists()


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pt: no such checkpoint"):
        checkpoint.load(tmp_path / "gone.pt", CPU)
