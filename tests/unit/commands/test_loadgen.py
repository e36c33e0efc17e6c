"""Tests of what `benchmark` refuses before it starts. tests/integration/test_loadgen.py runs it."""

from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.inference import packages

Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ([], "the following arguments are required: --scenario"),
        (["--scenario", "Offlin"], "argument --scenario: invalid choice: 'Offlin'"),
        (["--scenario", "Server", "--target-qps", "0"], "argument --target-qps: 0: must be a number above 0"),
        (["--scenario", "Server", "--target-qps", "nan"], "argument --target-qps: nan: must be a number above 0"),
        (["--batch-size", "0"], "argument --batch-size: 0: must be a whole number from 1 to 100000"),
    ],
)
def test_bad_options_are_one_line(options: list[str], error: str, capsys: Output, tmp_path: Path) -> None:
    assert main(["benchmark", "best.pt", "val.csv", "--output-dir", str(tmp_path), *options]) == 2
    assert capsys.readouterr().err.startswith(f"error: {error}")


def test_a_missing_manifest_is_named_before_a_process_starts(capsys: Output, tmp_path: Path) -> None:
    options = ["--scenario", "Offline", "--output-dir", str(tmp_path / "output")]
    assert main(["benchmark", "best.pt", str(tmp_path / "val.csv"), *options]) == 2
    error = capsys.readouterr().err
    assert "val.csv" in error and error.count("\n") == 1
    assert not (tmp_path / "output").exists()


def test_a_missing_package_says_how_to_install_it(
    capsys: Output, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda _: None)
    assert main(["benchmark", "best.pt", "val.csv", "--scenario", "Offline", "--output-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("pip install mlcommons-loadgen\n")
