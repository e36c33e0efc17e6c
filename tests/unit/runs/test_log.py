"""The log of a run: the same bytes to standard output and file, and what a person sees on a terminal."""

import io
from pathlib import Path

import pytest

from speech_recognition.runs.log import Output, Silence
from speech_recognition.runs.metrics import TABLE_HEAD, EpochMetrics

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


def test_the_rows_of_the_table_stand_under_its_head() -> None:
    trained = EpochMetrics(
        epoch=10, wer=17.1, cer=9.87, utterance_wer=17.5, loss=12.345, seconds=40.2, audio_rate=191.4, eval_seconds=2.9
    )
    untrained = EpochMetrics(epoch=0, wer=100.0, cer=100.0, utterance_wer=100.0, eval_seconds=3.0)
    assert TABLE_HEAD == "epoch      loss      WER      CER audio s/s      time"
    assert trained.table_row() == "   10     12.35    17.10     9.87       191      43 s"
    assert len(untrained.table_row()) == len(trained.table_row()) == len(TABLE_HEAD)
