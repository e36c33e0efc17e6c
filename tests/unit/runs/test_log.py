"""The log of a run: the same bytes to standard output and file, and what a person sees on a terminal."""

import io
from pathlib import Path

import pytest

from speech_recognition.runs.log import Output, Silence

LINES = (
    "STARTING TIMING RUN AT 2026-11-25 10:00:00 AM\n"
    'parameters: {"preset": "mini"}\n'
    ':::MLLOG {"key": "run_start"}\n'
    "epoch 1: loss 3.5, WER 50.00\n"
    "SUCCESS: the log passes the closed rules\n"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_pipe_gets_the_bytes_of_the_file(tmp_path: Path) -> None:
    console = io.StringIO()
    output = Output(console, tmp_path / "log")
    print(LINES, end="", file=output)
    assert not output.show("a row")
    assert console.getvalue() == (tmp_path / "log").read_text() == LINES


def test_a_terminal_gets_what_a_person_reads_and_the_file_gets_all(tmp_path: Path) -> None:
    console = Terminal()
    output = Output(console, tmp_path / "log")
    print(LINES, end="", file=output)
    assert output.show("a row")
    first, *_, last = LINES.splitlines()
    assert console.getvalue().splitlines() == [first, last, "a row"]
    assert (tmp_path / "log").read_text() == LINES


def test_other_processes_than_the_first_show_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    silence = Silence()
    print("line", file=silence)
    assert not silence.show("line")
    assert capsys.readouterr().out == ""


def test_an_epoch_that_begins_again_within_is_logged_once(tmp_path: Path) -> None:
    line = ':::MLLOG {"time_ms": %d, "key": "epoch_start", "metadata": {"epoch_num": 2, "samples_count": %d}}\n'
    for number, (time, consumed) in enumerate([(1, 100), (2, 164)]):
        with Output(io.StringIO(), tmp_path / "log", go_on=number > 0) as output:
            output.write(line % (time, consumed))
    assert (tmp_path / "log").read_text() == line % (1, 100)
