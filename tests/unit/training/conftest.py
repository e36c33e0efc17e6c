"""A tiny run of three epochs which saves after every step, and the words of the command that makes it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT

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


@pytest.fixture(scope="session")
def words(tone_dataset: Path) -> Callable[..., list[str]]:
    """Return a function that returns the words of `train` into a folder, with more words at the end."""
    sets = [word for assignment in TINY for word in ("--set", assignment)]

    def train(folder: Path, *more: object) -> list[str]:
        options = ["--preset", "mini", "--data-dir", tone_dataset, "--output-dir", folder, *sets, *more]
        return ["train", *map(str, options)]

    return train


@pytest.fixture(scope="session")
def whole(words: Callable[..., list[str]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run with seed 1 that nothing stopped; it missed its target."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    command = [sys.executable, "-m", "speech_recognition", *words(folder, "--seed", 1)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert ended.returncode == 3, ended.stderr
    return folder
