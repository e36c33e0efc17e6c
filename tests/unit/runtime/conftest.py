"""The command of a tiny run on the CPU, for one process or several."""

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
    "data.batch_size=8",
    "data.eval_batch_size=2",
    "data.workers=0",
    "training.epochs=3",
    "training.save_steps=1",
    "training.target_wer=0",
    "submission.division=open",
]


@pytest.fixture(scope="session")
def words(tone_dataset: Path) -> Callable[..., list[str]]:
    """Return a function that returns Python's options for a tiny run into a folder, with more words at the end."""
    sets = [word for assignment in TINY for word in ("--set", assignment)]

    def train(folder: Path, *more: object) -> list[str]:
        options = ["--preset", "mini", "--data-dir", tone_dataset, "--output-dir", folder, "--device", "cpu", *sets]
        return ["-m", "speech_recognition", "train", *map(str, [*options, *more])]

    return train


@pytest.fixture(scope="session")
def train(words: Callable[..., list[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that makes a tiny run in a folder, with more words for its command, and waits for its end."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def run(folder: Path, *more: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *words(folder, *more)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)

    return run
