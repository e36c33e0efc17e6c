"""Tests of checkpoints: what is saved is read again, and damaged or hostile files are refused."""

import dataclasses
import io
import os
import random
import resource
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.errors import InputError
from speech_recognition.model import DeepSpeech2, build_model
from speech_recognition.runs import checkpoint
from speech_recognition.runs.metrics import EpochMetrics
from speech_recognition.training.optimizers import build_optimizer

SMALL = dataclasses.replace(params.mini(), model=dataclasses.replace(params.mini().model, conv_channels=2, rnn_units=4))
CPU = torch.device("cpu")


def snapshot(epoch: int = 1) -> checkpoint.TrainingState:
    """A run after `epoch` epochs, of which only the first moments of its optimizer are made up."""
    model = build_model(SMALL.model, 64, seed=epoch)
    optimizer = build_optimizer(SMALL.optimizer, model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    return checkpoint.TrainingState(
        params=SMALL,
        seed=5,
        train_set="ab12",
        val_set="cd34",
        tally={"epoch": epoch, "steps": 3, "loss": 0.1},
        metrics=[row(number, 50.0 + number) for number in range(1, epoch + 1)],
        model=model.state_dict(),
        optimizer=optimizer.state_dict(),
    )


def row(epoch: int, wer: float) -> dict[str, Any]:
    return vars(EpochMetrics(epoch=epoch, wer=wer, cer=1.0, utterance_wer=wer, eval_seconds=1.0))


def save_run(folder: Path, epochs: int = 3) -> None:
    for epoch in range(1, epochs + 1):
        checkpoint.save(checkpoint.epoch_path(folder, epoch), snapshot(epoch), ["last.pt"])


def test_a_run_comes_back_as_it_was_saved(tmp_path: Path) -> None:
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
def test_a_full_disk_is_a_failure_that_names_the_file_and_the_old_one_stays(tmp_path: Path, share: float) -> None:
    checkpoint.save(tmp_path / "last.pt", snapshot())
    good = (tmp_path / "last.pt").read_bytes()
    with largest_file(int(share * len(good))), pytest.raises(OSError, match="too large") as failure:
        checkpoint.save(tmp_path / "last.pt", snapshot(2))
    assert failure.value.filename == str(tmp_path / "last.pt")
    assert failure.value.strerror == "cannot be written (File too large); free some disk, then --resume"
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"] and (tmp_path / "last.pt").read_bytes() == good


@pytest.mark.parametrize("error", [RuntimeError("DataLoader worker (pid 7) is killed"), SystemExit(143)])
@pytest.mark.parametrize("writes", [1, 5, 30])
def test_what_a_signal_raises_while_saving_is_not_taken_for_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, writes: int
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
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def forge(path: Path, **changes: Any) -> None:
    """A checkpoint with `changes` in its content, and the right digest; None removes a field."""
    checkpoint.save(path, snapshot())
    content = torch.load(path, weights_only=True)
    content = {name: value for name, value in (content | changes).items() if value is not None}
    del content["digest"]
    torch.save(content | {"digest": checkpoint.digest(content)}, path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"version": 3}, "version 3 of the format, this program reads version 2"),
        ({"version": "x\ny"}, "version 'x\\ny' of the format"),
        ({"version": None, "val_set": None}, "version 1 of the format"),
        ({"averaged": {}}, "'averaged'"),
        ({"params": settings.to_dict(SMALL) | {"model": {"rnn_unit": 4}}}, "rnn_unit"),
        ({"params": {}}, "different version"),
        ({"tally": {"epoch": 1, "warm": 2}}, "'warm'"),
        ({"tally": {"epoch": "1"}}, "wrong kind"),
        ({"metrics": [row(1, 50.0) | {"ser": 1.0}]}, "'ser'"),
        ({"metrics": [row(1, 50.0) | {"wer": "low"}]}, "wrong kind"),
        ({"metrics": ["low"]}, "different version"),
        ({"seed": "5"}, "wrong kind"),
        ({"model": {"linear.weight": "heavy"}}, "wrong kind"),
    ],
)
def test_what_a_different_version_wrote_is_no_damage(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    forge(tmp_path / "x.pt", **changes)
    with pytest.raises(checkpoint.OtherVersionError) as refusal:
        checkpoint.read(tmp_path / "x.pt")
    message = str(refusal.value)
    assert message.startswith(f"{tmp_path / 'x.pt'}: written by a different version of this program (")
    assert reason in message and "damaged" not in message and "\n" not in message


def test_a_run_of_a_different_version_does_not_go_on_from_an_older_checkpoint(tmp_path: Path) -> None:
    save_run(tmp_path)
    (tmp_path / "last.pt").unlink()
    forge(tmp_path / "last.pt", version=3)
    with pytest.raises(checkpoint.OtherVersionError, match=r"last\.pt"):
        checkpoint.newest(tmp_path)


@pytest.mark.parametrize("way", ["compressed", "repeated"])
def test_a_small_file_that_unpacks_to_a_large_one_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    checkpoint.save(tmp_path / "good.pt", snapshot())
    with zipfile.ZipFile(tmp_path / "good.pt") as good, zipfile.ZipFile(tmp_path / "x.pt", "w") as bad:
        for member in good.namelist():
            kind = zipfile.ZIP_DEFLATED if way == "compressed" else zipfile.ZIP_STORED
            bad.writestr(member, good.read(member), kind)
        if way == "repeated":
            bad.filelist += bad.filelist * 10
    monkeypatch.setattr("torch.load", lambda *_, **__: pytest.fail("it was unpacked"))
    with pytest.raises(InputError, match=r"x\.pt: no checkpoint of this benchmark, or damaged"):
        checkpoint.read(tmp_path / "x.pt")


def test_a_tensor_that_repeats_its_few_bytes_is_never_spread_out() -> None:
    with pytest.raises(ValueError, match="share memory"):
        checkpoint.digest({"model": torch.zeros(1).expand(1 << 40)})


def test_a_claim_of_a_model_too_large_for_the_memory_is_refused_before_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*arguments: Any) -> DeepSpeech2:
        assert torch.get_default_device().type == "meta", "it was made"
        return DeepSpeech2(*arguments)

    huge = dataclasses.replace(SMALL, model=dataclasses.replace(SMALL.model, rnn_layers=16, rnn_units=16384))
    forge(tmp_path / "x.pt", params=settings.to_dict(huge))
    monkeypatch.setattr("speech_recognition.recognizer.DeepSpeech2", build)
    with pytest.raises(InputError, match="weights do not fit its parameters"):
        checkpoint.load(tmp_path / "x.pt", CPU)


def test_what_is_no_regular_file_is_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pt")
    for path in (tmp_path / "x.pt", Path("/dev/zero"), tmp_path):
        with pytest.raises(InputError, match=f"{path}: not a regular file"):
            checkpoint.read(path)


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
