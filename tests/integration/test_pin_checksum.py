"""Tests of script/pin_checksum.py, with which maintainers pin a dataset's checksum."""

import importlib.util
import json
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT
from speech_recognition.corpus.counts import Counts, SplitCounts, write_counts


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    spec = importlib.util.spec_from_file_location("pin_checksum", ROOT / "script" / "pin_checksum.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "REFERENCES", tmp_path / "references")
    return module


def test_it_writes_the_reference_of_a_dataset(script, tmp_path: Path) -> None:
    nothing = SplitCounts.of([])
    write_counts(tmp_path / "data", Counts("mini", SplitCounts.of([16_000]), nothing, nothing))
    assert script.main(["mini", str(tmp_path / "data")]) == 0
    assert json.loads((tmp_path / "references" / "mini.json").read_text())["counts"]["train"]["seconds"] == 1.0


def test_it_refuses_what_is_no_such_dataset(script, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([]) == 2
    assert script.main(["mini", str(tmp_path / "gone")]) == 2
    assert "no such folder" in capsys.readouterr().err
