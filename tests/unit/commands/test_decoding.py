"""Tests of the options `--beam`, `--lm`, `--alpha` and `--beta`, as `evaluate` takes them."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.decoding.ngrams import count, write_arpa
from speech_recognition.inference import packages

Save = Callable[..., Path]


def evaluate(path: Path, dataset: Path, *options: str) -> int:
    return main(["evaluate", str(path), str(dataset / "manifests" / "val.csv"), "--device", "cpu", *options])


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    write_arpa(tmp_path / "lm.arpa", count([["BAD", "CAB"], ["ACE", "2ND"]], 2))
    return tmp_path / "lm.arpa"


def test_with_a_language_model_only_its_words_are_written(
    save_model: Save, tone_dataset: Path, tmp_path: Path, arpa: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "rows.csv"
    options = ["--lm", str(arpa), "--alpha", "0.5", "--beta", "9", "--beam", "20", "--output", str(table)]
    assert evaluate(save_model(), tone_dataset, *options) == 0
    read = capsys.readouterr()
    assert f"note: {arpa}: 1 of its 4 words have characters outside the alphabet and are never written\n" in read.err
    with table.open(newline="") as file:
        words = {word for row in csv.DictReader(file) for word in row["hypothesis"].split()}
    assert words and words <= {"BAD", "CAB", "ACE"}


def test_a_beam_without_a_language_model_writes_any_words(
    save_model: Save, tone_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(save_model(), tone_dataset, "--beam", "5") == 0
    assert "all: WER " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--alpha", "1"], "--alpha: only with --lm; name a language model or leave it out"),
        (["--beam", "5", "--beta", "0"], "--beta: only with --lm; name a language model or leave it out"),
        (["--beam", "0"], "argument --beam: 0: must be from 1 to 10000"),
        (["--alpha", "nan"], "argument --alpha: nan: must be a number from -1000 to 1000"),
        (["--lm", "gone.arpa"], "gone.arpa: No such file or directory; name an ARPA file"),
    ],
)
def test_options_that_mean_nothing_are_refused(
    save_model: Save, tone_dataset: Path, capsys: pytest.CaptureFixture[str], options: list[str], reason: str
) -> None:
    assert evaluate(save_model(), tone_dataset, *options) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--beam", "5"], ["--lm", "lm.arpa"]])
def test_a_missing_library_is_one_line(
    save_model: Save,
    tone_dataset: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: list[str],
) -> None:
    monkeypatch.setitem(packages._MODULES, "flashlight-text", "not_here")
    assert evaluate(save_model(), tone_dataset, *option) == 2
    message = f"error: {option[0]}: needs flashlight-text, which is not installed; pip install flashlight-text\n"
    assert capsys.readouterr().err == message
