"""Tests of checkpoints: what is saved is read again, the newest whole one is found, and a failed save is named."""

import errno
import io
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from speech_recognition.errors import InputError
from speech_recognition.runs import checkpoint

CPU = torch.device("cpu")

Snapshot = Callable[..., checkpoint.TrainingState]


def save_run(snapshot: Snapshot, folder: Path, epochs: int = 3) -> None:
    for epoch in range(1, epochs + 1):
        checkpoint.save(checkpoint.epoch_path(folder, epoch), snapshot(epoch), ["last.pt"])


def test_a_run_comes_back_as_it_was_saved(snapshot: Snapshot, tmp_path: Path) -> None:
    saved = snapshot()
    checkpoint.save(tmp_path / "last.pt", saved)
    read = checkpoint.read(tmp_path / "last.pt")
    for name in ("params", "seed", "train_set", "val_set", "tally", "metrics"):
        assert getattr(read, name) == getattr(saved, name)
    assert (read.wer, read.evaluated_epoch) == (51.0, 1)
    for name, value in saved.model.items():
        assert read.model[name].equal(value), name
    for index, state in saved.optimizer["state"].items():
        assert all(read.optimizer["state"][index][name].equal(value) for name, value in state.items())
    assert read.optimizer["param_groups"] == saved.optimizer["param_groups"]


def test_a_model_comes_back_ready_to_evaluate(snapshot: Snapshot, tmp_path: Path) -> None:
    saved = snapshot()
    checkpoint.save(tmp_path / "last.pt", saved)
    loaded = checkpoint.load(tmp_path / "last.pt", CPU)
    assert loaded.params == saved.params and not loaded.model.training
    assert all(loaded.model.state_dict()[name].equal(value) for name, value in saved.model.items())


@pytest.mark.parametrize("links", [True, False])
def test_other_names_hold_the_same_bytes(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    if not links:
        monkeypatch.setattr("os.link", refuse)
    checkpoint.save(tmp_path / "epoch_01.pt", snapshot(), ["last.pt", "best.pt"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.pt", "epoch_01.pt", "last.pt"]
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Have the system refuse to write more than `size` bytes into a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_full_disk_is_a_failure_that_names_the_file_and_the_old_one_stays(
    snapshot: Snapshot, tmp_path: Path, share: float
) -> None:
    checkpoint.save(tmp_path / "last.pt", snapshot())
    good = (tmp_path / "last.pt").read_bytes()
    with largest_file(int(share * len(good))), pytest.raises(OSError, match="too large") as failure:
        checkpoint.save(tmp_path / "last.pt", snapshot(2))
    assert failure.value.filename == str(tmp_path / "last.pt")
    assert failure.value.strerror == "cannot be written (File too large)"  # a limit, which a freed disk does not lift
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"] and (tmp_path / "last.pt").read_bytes() == good


@pytest.mark.parametrize(
    ("number", "advised"),
    [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EFBIG, False), (errno.EACCES, False), (errno.EIO, False)],
)
def test_more_disk_is_asked_for_only_where_it_helps(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advised: bool
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("torch.save", fail)
    with pytest.raises(OSError, match="cannot be written") as failure:
        checkpoint.save(tmp_path / "imported.pt", snapshot())
    assert failure.value.errno == number and ("free some disk" in failure.value.strerror) == advised


@pytest.mark.parametrize("error", [RuntimeError("DataLoader worker (pid 7) is killed"), SystemExit(143)])
@pytest.mark.parametrize("writes", [1, 5, 30])
def test_what_a_signal_raises_while_saving_is_not_taken_for_a_full_disk(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, writes: int
) -> None:
    original, left = torch.save, iter(range(writes - 1))

    class Interrupted(io.BytesIO):
        def write(self, data: Any) -> int:
            if next(left, None) is None:
                raise error
            return super().write(data)

    monkeypatch.setattr("torch.save", lambda content, _: original(content, Interrupted()))
    with pytest.raises(type(error)) as failure:
        checkpoint.save(tmp_path / "last.pt", snapshot())
    assert failure.value is error


def test_a_fault_of_torch_is_not_taken_for_the_signal_that_made_it_save(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("of torch")

    monkeypatch.setattr("torch.save", fail)
    try:
        raise SystemExit(143)
    except SystemExit:
        with pytest.raises(RuntimeError, match="of torch"):
            checkpoint.save(tmp_path / "last.pt", snapshot())


def test_the_newest_is_that_within_an_epoch_then_the_last_epochs(
    snapshot: Snapshot, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert checkpoint.newest(tmp_path) is None
    save_run(snapshot, tmp_path)
    assert checkpoint.newest(tmp_path)[0] == tmp_path / "last.pt"  # type: ignore[index]
    (tmp_path / "last.pt").unlink()
    (tmp_path / "epoch_03.pt").write_bytes(b"PK")
    path, found = checkpoint.newest(tmp_path)  # type: ignore[misc]
    assert (path, found.evaluated_epoch) == (tmp_path / "epoch_02.pt", 2)
    assert "epoch_03.pt: no checkpoint of this benchmark, or damaged" in capsys.readouterr().err


def test_when_none_is_whole_the_folder_is_named(snapshot: Snapshot, tmp_path: Path) -> None:
    save_run(snapshot, tmp_path, epochs=1)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="no checkpoint is whole"):
        checkpoint.newest(tmp_path)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.pt: no such checkpoint"):
        checkpoint.load(tmp_path / "gone.pt", CPU)
