"""The command `check-log`; tests/unit/mlperf and tests/unit/report call the other commands of logs.py."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from speech_recognition.cli import main
from tests.unit.mlperf.conftest import build_log

Output = pytest.CaptureFixture[str]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "speech_ds2.out"


def write(log: Path, lines: Sequence[str]) -> None:
    log.write_text("".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("division", ["closed", "open"])
def test_a_log_is_checked_by_the_rules_of_its_own_division(division: str, log: Path, capsys: Output) -> None:
    lines = build_log(division=division).edited("opt_adamw_weight_decay", value=0.5)
    write(log, lines)
    passes = division == "open"
    assert main(["check-log", str(log)]) == (0 if passes else 1)
    assert capsys.readouterr().out.startswith("SUCCESS\n" if passes else "FAILED: line ")
    assert main(["check-log", str(log), "--division", division]) == (0 if passes else 1)


@pytest.mark.parametrize(("logged", "asked"), [("closed", "open"), ("open", "closed"), ("opne", "open")])
def test_a_log_of_a_different_division_than_the_one_asked_for_fails(
    logged: str, asked: str, log: Path, capsys: Output
) -> None:
    lines = build_log().edited("submission_division", value=logged)
    write(log, lines)
    number = 1 + next(index for index, key, _ in lines.records() if key == "submission_division")
    assert main(["check-log", str(log), "--division", asked]) == 1
    message = f"submission_division: the log is of the division {logged}, not {asked}"
    assert capsys.readouterr().out == f"FAILED: line {number}: {message}\n"


@pytest.mark.parametrize("value", ["opne", None, ["open"]])
def test_a_log_of_an_unknown_division_breaks_the_closed_rules(value: object, log: Path, capsys: Output) -> None:
    write(log, build_log(division="open").edited("submission_division", value=value))
    assert main(["check-log", str(log)]) == 1
    out = capsys.readouterr().out
    assert "submission_division: the log is of a different division" in out
    assert "init_stop: out of order" in out  # no dataset_checksum before it, which only the closed rules require


def test_a_log_without_a_division_breaks_the_rules(log: Path, capsys: Output) -> None:
    write(log, [line for line in build_log(division="open") if "submission_division" not in line])
    for options in ([], ["--division", "open"]):
        assert main(["check-log", str(log), *options]) == 1
        assert "Required EXACTLY_ONE occurrence of 'submission_division'" in capsys.readouterr().out


def test_damage_before_the_division_is_named(log: Path, capsys: Output) -> None:
    write(log, [":::MLLOG {", *build_log()])
    assert main(["check-log", str(log)]) == 1
    assert capsys.readouterr().out.startswith("FAILED: line 1: not a whole MLLOG line")


@pytest.mark.parametrize("content", ["", "epoch 1: WER 23.0\n"])
def test_a_file_that_is_no_log_is_named_in_one_line(content: str, log: Path, capsys: Output) -> None:
    log.write_text(content)
    assert main(["check-log", str(log)]) == 1
    assert capsys.readouterr() == (f"FAILED: {log}: holds no MLLOG line\n", "")


def test_several_violations_are_listed_and_counted(log: Path, capsys: Output) -> None:
    write(log, build_log(wers=(53.2, 31.0)).edited("seed", value="seven"))
    assert main(["check-log", str(log)]) == 1
    first, second, verdict = capsys.readouterr().out.splitlines()
    assert first.startswith("line ") and ": seed: " in first and ": run_stop: " in second
    assert verdict == "FAILED: 2 violations"
