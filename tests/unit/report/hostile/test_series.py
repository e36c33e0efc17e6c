"""Tests with strangers' series of runs: `check-rcp` and `package` end with one line, and run and change nothing."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.cli import main

Damage = Callable[[Path], object]


Refused = Callable[..., str]


def test_convergence_of_damaged_results_ends_in_a_line(
    result_damage: Damage, series: Path, canary: Path, refused: Refused
) -> None:
    result_damage(series)
    refused(["check-rcp", series], (1, 2))
    assert not canary.exists()


@pytest.mark.parametrize("content", [
    "[" * 100_000,
    '{"a": {"Benchmark": "unet3d", "BS": 16, "Hyperparams": {}, "Epochs to converge": [1, 2, 3]}}',
    '{"a": {"Benchmark": "deepspeech2", "BS": true, "Hyperparams": {}, "Epochs to converge": [1, 2, 3]}}',
    '{"a": {"Benchmark": "deepspeech2", "BS": 16, "Hyperparams": {}, "Epochs to converge": [1e20, 2e20, 3e20]}}',
    '{"a": {"Benchmark": "deepspeech2", "BS": 16, "Hyperparams": {}, "Epochs to converge": [1, NaN, 3]}}',
    '{"a": {"Benchmark": "deepspeech2", "BS": 16, "Hyperparams": {}, "Epochs to converge": [0, -1, 3]}}',
    None,
])  # fmt: skip
def test_points_that_are_none_are_refused(content: str | None, series: Path, tmp_path: Path, refused: Refused) -> None:
    if content is None:
        os.mkfifo(tmp_path / "points.json")
    else:
        (tmp_path / "points.json").write_text(content)
    assert "points.json: " in refused(["check-rcp", series, "--points", tmp_path / "points.json"])


def test_convergence_in_a_folder_whose_name_is_a_pattern(
    series: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    series.rename(tmp_path / "[a]*{0}")
    assert main(["check-rcp", str(tmp_path / "[a]*{0}")]) in (0, 1)
    assert "mean epochs: 2" in capsys.readouterr().out


def test_packaging_of_a_damaged_series_ends_in_a_line(
    package_damage: Damage,
    series: Path,
    canary: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    refused: Refused,
) -> None:
    monkeypatch.chdir(tmp_path)
    package_damage(series)
    refused(["package", series, "--output-dir", tmp_path / "out"], (1, 2))
    assert not canary.exists() and not (tmp_path / "up").exists()
