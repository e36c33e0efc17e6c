"""Tests with strangers' folders of runs: `report` and `check-log` end with one line, and run and change nothing."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.cli import main

Damage = Callable[[Path], object]


Refused = Callable[..., str]
Replace = Callable[[Path, str, str], object]


def test_a_report_names_what_is_wrong_in_one_line(
    report_damage: Damage, run_folder: Callable[..., Path], canary: Path, refused: Refused
) -> None:
    folder = run_folder()
    report_damage(folder)
    assert str(folder) in refused(["report", folder])
    assert not canary.exists() and not (folder / "report.html").exists()


@pytest.mark.parametrize("link", ["report.html", "charts", "charts/loss.svg"])
def test_a_report_is_not_written_through_a_link(
    link: str, run_folder: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    folder, ours = run_folder(), tmp_path / "ours"
    ours.mkdir()
    (folder / link).parent.mkdir(exist_ok=True)
    (folder / link).symlink_to(ours if link == "charts" else ours / "file")
    assert f"{folder / link}: is a link" in refused(["report", folder])
    assert not any(ours.iterdir())


ODD = [
    "$a$ $\\frac$",
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    "=cmd|' /C calc'!A0",
    "a\x1b[2J\nb",
    "語" * 40,
]


@pytest.mark.parametrize("odd", ODD)
def test_odd_names_are_shown_as_they_are(
    odd: str, run_folder: Callable[..., Path], replace: Replace, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [run_folder(f"{number} {odd.replace('/', '')}") for number in range(2)]
    for folder in folders:
        path = folder / "utterances.csv"
        quoted = odd.replace('"', '""')
        path.write_text(re.sub(r",dev-mini,\d+,", f',"{quoted}","{quoted}",', path.read_text()))
        replace(folder / "speech_ds2.out", r'"metadata": {', '"metadata": {"time_ms": "x", "seconds": [], ')
    assert (
        main(["report", *map(str, folders), "--output-dir", str(tmp_path), "--tensorboard", str(tmp_path / "tb")]) == 0
    )
    assert capsys.readouterr().err == ""
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page and not re.search(r'(?:src|href)="(?!data:|#|\./)', page)


def test_a_name_that_is_no_text_does_not_stop_the_report(
    run_folder: Callable[..., Path], replace: Replace, tmp_path: Path
) -> None:
    folder = run_folder(os.fsdecode(b"\xff\xfe"))
    replace(folder / "system.json", '"cooling": ""', '"cooling": "\\ud800"')
    assert main(["report", str(folder), "--output-dir", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "\\udcff\\udcfe" in page and "\\ud800" in page


def test_a_check_of_a_log_ends_in_a_line(
    log_damage: Callable[[str], Damage],
    run_folder: Callable[..., Path],
    refused: Refused,
    request: pytest.FixtureRequest,
) -> None:
    folder = run_folder()
    log_damage("speech_ds2.out")(folder)
    refused(["check-log", folder / "speech_ds2.out"], (0, 1, 2) if "metadata" in request.node.name else (1, 2))


def test_what_the_checker_finds_is_printed_without_control_characters(
    run_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    log = run_folder() / "speech_ds2.out"
    line = next(line for line in log.read_text().splitlines() if '"seed"' in line)
    log.write_text(log.read_text() + line.replace('"value": 7', '"value": "\\u001b[2J\\nSUCCESS"') + "\n")
    assert main(["check-log", str(log)]) == 1
    said = capsys.readouterr().out
    assert "\\x1b[2J" in said and "\x1b" not in said and "\nSUCCESS" not in said
