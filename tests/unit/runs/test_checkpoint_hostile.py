"""Tests of damaged, forged and foreign checkpoints: each is refused by name, and no code or memory bomb in it works."""

import dataclasses
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.errors import InputError
from speech_recognition.model import DeepSpeech2
from speech_recognition.runs import checkpoint
from speech_recognition.runs.metrics import EpochMetrics

CPU = torch.device("cpu")

ROW = vars(EpochMetrics(epoch=1, wer=50.0, cer=1.0, utterance_wer=50.0, eval_seconds=1.0))

Snapshot = Callable[..., checkpoint.TrainingState]


def test_a_flipped_byte_anywhere_is_noticed(snapshot: Snapshot, tmp_path: Path) -> None:
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


def forge(snapshot: Snapshot, path: Path, **changes: Any) -> None:
    """Write a checkpoint with `changes` in its content, and the right digest; None removes a field."""
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
        ({"params": settings.to_dict(params.mini()) | {"model": {"rnn_unit": 4}}}, "rnn_unit"),
        ({"params": {}}, "different version"),
        ({"tally": {"epoch": 1, "warm": 2}}, "'warm'"),
        ({"tally": {"epoch": "1"}}, "wrong kind"),
        ({"metrics": [ROW | {"ser": 1.0}]}, "'ser'"),
        ({"metrics": [ROW | {"wer": "low"}]}, "wrong kind"),
        ({"metrics": ["low"]}, "different version"),
        ({"seed": "5"}, "wrong kind"),
        ({"model": {"linear.weight": "heavy"}}, "wrong kind"),
    ],
)
def test_what_a_different_version_wrote_is_no_damage(
    snapshot: Snapshot, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    forge(snapshot, tmp_path / "x.pt", **changes)
    with pytest.raises(checkpoint.OtherVersionError) as refusal:
        checkpoint.read(tmp_path / "x.pt")
    message = str(refusal.value)
    assert message.startswith(f"{tmp_path / 'x.pt'}: written by a different version of this program (")
    assert reason in message and "damaged" not in message and "\n" not in message


def test_a_run_of_a_different_version_does_not_go_on_from_an_older_checkpoint(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    for epoch in (1, 2):
        checkpoint.save(checkpoint.epoch_path(tmp_path, epoch), snapshot(epoch))
    forge(snapshot, tmp_path / "last.pt", version=3)
    with pytest.raises(checkpoint.OtherVersionError, match=r"last\.pt"):
        checkpoint.newest(tmp_path)


@pytest.mark.parametrize("way", ["compressed", "repeated"])
def test_a_small_file_that_unpacks_to_a_large_one_is_refused_before_it_is_unpacked(
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
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
    snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(*arguments: Any) -> DeepSpeech2:
        assert torch.get_default_device().type == "meta", "it was made"
        return DeepSpeech2(*arguments)

    small = snapshot().params
    huge = dataclasses.replace(small, model=dataclasses.replace(small.model, rnn_layers=16, rnn_units=16384))
    forge(snapshot, tmp_path / "x.pt", params=settings.to_dict(huge))
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
def test_what_is_no_checkpoint_is_refused_by_name(snapshot: Snapshot, tmp_path: Path, content: str) -> None:
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
