"""Tests of the options `--beam`, `--lm`, `--alpha`, `--beta` and `--nbest`, as `evaluate` takes them."""

import argparse
import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.cli import main
from speech_recognition.commands.decoding import add_beam_options, chosen_decoder
from speech_recognition.decoding.beam import BeamSearch
from speech_recognition.decoding.greedy import greedy
from speech_recognition.decoding.ngrams import count, write_arpa
from speech_recognition.inference import packages

Save = Callable[..., Path]


def evaluate(path: Path, dataset: Path, *options: str) -> int:
    return main(["evaluate", str(path), str(dataset / "manifests" / "val.csv"), "--device", "cpu", *options])


def written_words(table: Path) -> set[str]:
    with table.open(newline="") as file:
        return {word for row in csv.DictReader(file) for word in row["hypothesis"].split()}


def test_with_a_language_model_only_its_words_are_written(
    save_model: Save, tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, table, arpa = save_model(), tmp_path / "rows.csv", tmp_path / "lm.arpa"
    assert evaluate(path, tone_dataset, "--output", str(table)) == 0
    heard = written_words(table)
    known = {f"{word}X" for word in heard}
    write_arpa(arpa, count([[*known, "2ND"]], 2))
    assert evaluate(path, tone_dataset, "--lm", str(arpa), "--output", str(table)) == 0
    note = f"note: {arpa}: 1 of its {len(known) + 1} words have characters outside the alphabet and are never written\n"
    assert note in capsys.readouterr().err
    assert heard and written_words(table) <= known


def test_the_options_reach_the_search(tmp_path: Path) -> None:
    arpa, parser = tmp_path / "lm.arpa", argparse.ArgumentParser()
    write_arpa(arpa, count([["BAD", "CAB"]], 2))
    add_beam_options(parser)
    search = chosen_decoder(parser.parse_args(["--lm", str(arpa), "--alpha", "0.5", "--beta", "-2", "--beam", "7"]))
    assert isinstance(search, BeamSearch) and (search.width, search.alpha, search.beta) == (7, 0.5, -2.0)
    assert search.language_model and search.language_model.words == ["BAD", "CAB"]
    assert chosen_decoder(parser.parse_args([])) is greedy


def test_a_beam_without_a_language_model_writes_any_words(
    save_model: Save, tone_dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluate(save_model(), tone_dataset, "--beam", "5") == 0
    assert "all: WER " in capsys.readouterr().out


def test_the_best_of_the_likeliest_texts_is_scored_and_all_are_written(
    save_model: Save, tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "rows.csv"
    assert evaluate(save_model(), tone_dataset, "--beam", "9", "--nbest", "4", "--output", str(table)) == 0
    *_, whole, best = capsys.readouterr().out.splitlines()
    assert whole.startswith("all: WER ") and best.startswith("best of 4: WER ")
    with table.open(newline="") as file:
        rows = [*csv.DictReader(file)]
    assert all(row["hypothesis"] != row["hypothesis_2"] for row in rows) and "hypothesis_4" in rows[0]
    errors = sum(int(row["oracle_word_errors"]) for row in rows)
    assert f"({errors} errors in " in best


def test_a_run_has_no_list_of_texts(tmp_path: Path, tone_dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluate(tmp_path, tone_dataset, "--beam", "5", "--nbest", "3") == 2
    assert "--nbest: lists what a beam search finds; add --beam or --lm, and name a chec" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--nbest", "3"], "--nbest: lists what a beam search finds; add --beam or --lm"),
        (["--alpha", "1"], "--alpha: only with --lm; name a language model or leave it out"),
        (["--beam", "5", "--beta", "0"], "--beta: only with --lm; name a language model or leave it out"),
        (["--beam", "0"], "argument --beam: 0: must be a whole number from 1 to 10000"),
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
