"""Tests of check_log, which runs the official checker in this process and leaves no trace in it."""

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speech_recognition.errors import InputError
from speech_recognition.mlperf.check import Violation, check_log


def test_a_missing_log_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.out: No such file or directory; give the log of a run"):
        check_log(tmp_path / "none.out", "closed")
    with pytest.raises(InputError, match="not a regular file"):
        check_log(tmp_path, "closed")


@pytest.mark.parametrize("lines", [[], ["", "no MLLOG line at all"]])
def test_an_empty_log_is_not_compliant(lines: list[str], check: Any, tmp_path: Path) -> None:
    assert check(lines) == [Violation(f"{tmp_path / 'speech_ds2.out'}: holds no MLLOG line")]


@pytest.mark.parametrize("record", ["{}", "[]", "7", '{"key": "seed"', '{"time_ms": "x", "key": 1}', "[" * 100_000])
def test_a_line_that_the_checker_cannot_read_is_named(record: str, good_log: Any, check: Any) -> None:
    lines = good_log()
    found = check([*lines, f":::MLLOG {record}"])
    assert [violation.line for violation in found] == [len(lines) + 1]
    assert found[0].message.startswith("not a whole MLLOG line")


@pytest.mark.parametrize("key", [None, 5, ["seed"], {"a": 1}])
def test_a_key_that_is_no_name_is_passed_over(key: object, good_log: Any, check: Any) -> None:
    lines = good_log()
    stray = lines.edited("cache_clear", key=key)[0]
    assert check([*lines, stray]) == []
    assert check(lines.edited("seed", key=key))


def test_line_numbers_are_those_of_the_file(good_log: Any, check: Any) -> None:
    lines = good_log(wers=[30.0])
    found = check(["plain", "", *lines, "after"])
    assert [str(violation) for violation in found] == [
        f"line {len(lines) + 2}: run_stop: the last evaluation is above the target"
    ]


def test_every_failure_of_a_key_is_reported(good_log: Any, check: Any) -> None:
    lines = good_log(wers=[60, 50, 20])
    for which in (0, 2):
        lines = lines.edited("eval_accuracy", which, value="?")
    places = [index + 1 for index, key, _ in lines.records() if key == "eval_accuracy"]
    found = [violation.line for violation in check(lines) if violation.message.startswith("eval_accuracy")]
    assert found == [places[0], places[2]]


def test_nothing_is_printed_logged_or_left_behind(
    good_log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "log.out").write_text("\n".join(good_log(wers=[30.0])))
    monkeypatch.chdir(tmp_path)
    root = logging.getLogger()
    before = (root.level, list(root.handlers), list(root.filters))
    with caplog.at_level(logging.DEBUG):
        assert len(check_log(Path("log.out"), "closed")) == 1
    assert (root.level, root.handlers, root.filters) == before
    assert (caplog.records, tuple(capfd.readouterr())) == ([], ("", ""))
    assert [path.name for path in tmp_path.iterdir()] == ["log.out"]


def test_a_root_logger_without_handlers_stays_without(good_log: Any, tmp_path: Path) -> None:
    """Run in a new process: pytest's handlers would hide that the checker's first message adds one."""
    (tmp_path / "log.out").write_text("\n".join(good_log()))
    code = (
        "import logging, pathlib; from speech_recognition.mlperf.check import check_log;"
        "print(check_log(pathlib.Path('log.out'), 'closed'), logging.getLogger().handlers)"
    )
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (run.stdout, run.stderr) == ("[] []\n", "")


@given(text=st.text(), place=st.integers(0, 40))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.usefixtures("rules_read_once")
def test_any_text_between_the_lines_is_harmless(text: str, place: int, good_log: Any, tmp_path: Path) -> None:
    lines = good_log()
    path = tmp_path / "log.out"
    content = "\n".join([*lines[:place], text, *lines[place:]]) + "\n"
    path.write_text(content, encoding="utf-8", errors="surrogatepass", newline="")
    assert check_log(path, "closed") == []


@pytest.mark.parametrize("division", ["/tmp/rules", "../closed", "", "Closed", ["closed"], None])
def test_no_other_text_than_a_division_becomes_the_path_of_rules(division: Any, good_log: Any, check: Any) -> None:
    with pytest.raises(InputError, match="must be closed or open"):
        check(good_log(), division)


def test_a_log_longer_than_any_run_writes_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "log.out").write_text(":::MLLOG {}\n" * 100_001)
    with pytest.raises(InputError, match=r"log\.out: has more than 100,000 MLLOG lines"):
        check_log(tmp_path / "log.out", "closed")


def test_a_line_that_the_official_parser_would_search_for_hours_is_a_violation(good_log: Any, check: Any) -> None:
    lines = good_log()
    found = check([*lines, ":::MLLOG " + "x" * 1_000_000])
    assert [str(each) for each in found] == [
        f"line {len(lines) + 1}: not a whole MLLOG line (ValueError: it has more than 4,000 characters)"
    ]
