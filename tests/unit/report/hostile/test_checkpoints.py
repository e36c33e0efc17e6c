"""Tests with strangers' checkpoints: `evaluate` ends with one line and runs no code of theirs."""

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.model import build_model
from speech_recognition.runs import checkpoint


class Code:
    """Object that runs a command when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self._canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self._canary}'",)


def crafted(path: Path, **changes: Any) -> None:
    """Write a checkpoint with `changes` to its content and the digest that fits them."""
    mini = params.mini()
    model = build_model(mini.model, mini.features.bins, seed=0)
    content = {
        "params": settings.to_dict(mini),
        "seed": 1,
        "train_set": "",
        "tally": {},
        "metrics": [],
        "model": model.state_dict(),
        "optimizer": {},
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content | {"digest": checkpoint.digest(content)}, path)


def with_parameter(section: str, name: str, value: object) -> dict[str, Any]:
    """Return the parameters of `mini` with one value changed."""
    values = settings.to_dict(params.mini())
    values[section][name] = value
    return values


@pytest.mark.parametrize("name", ["code", "no zip", "pipe", "division", "model", "weights", "epoch_01", "metrics"])
def test_evaluation_of_a_crafted_checkpoint_ends_in_a_line(
    name: str, canary: Path, tone_dataset: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    path = tmp_path / "run" / "checkpoints" / "epoch_01.pt"
    path.parent.mkdir(parents=True)
    make: dict[str, Callable[[], Any]] = {
        "code": lambda: torch.save({"digest": Code(canary)}, path),
        "no zip": partial(path.write_bytes, b"\x80\x04."),
        "pipe": partial(os.mkfifo, path),
        "division": lambda: crafted(path, params=with_parameter("submission", "division", f"{tmp_path}/rules")),
        "model": lambda: crafted(path, params=with_parameter("model", "rnn_units", "192")),
        "weights": lambda: crafted(path, model=[1]),
        "epoch_01": lambda: crafted(path),
        "metrics": lambda: crafted(path, metrics=[{"epoch": "x", "wer": None}]),
    }
    make[name]()
    manifest = tone_dataset / "manifests" / "val.csv"
    assert "epoch_01.pt: " in refused(["evaluate", tmp_path / "run", manifest])
    if name not in ("epoch_01", "metrics"):
        assert "epoch_01.pt: " in refused(["evaluate", path, manifest])
    assert not canary.exists()
