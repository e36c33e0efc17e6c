"""Tests of the command `evaluate`; those of its beam search stand in test_decoding.py."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.commands import ROOT

_COMMANDS = """
import sys
from speech_recognition.cli import main
model, manifest = sys.argv[1:]
main(["export", model, "--output", "a.safetensors"])
main(["evaluate", "a.safetensors", manifest, "--device", "cpu"])
main(["transcribe", model, manifest, "--quiet", "--device", "cpu"])
print([name for name in sys.modules if name.startswith("speech_recognition.training")])
"""


def test_a_model_works_without_the_code_that_trained_it(
    save_model: Callable[..., Path], tone_dataset: Path, tmp_path: Path
) -> None:
    words = [sys.executable, "-c", _COMMANDS, str(save_model()), str(tone_dataset / "manifests" / "val.csv")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert lines[-1] == "[]"
    assert lines[0].startswith("a.safetensors: ") and lines[2].startswith("all: WER ") and len(lines) == 3 + 6 + 1


def test_a_folder_that_is_no_run_is_named(
    tmp_path: Path, tone_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tmp_path), str(tone_dataset / "manifests" / "val.csv"), "--device", "cpu"]) == 2
    assert f"error: {tmp_path}: no checkpoints/epoch_NN.pt in it; name a run" in capsys.readouterr().err
