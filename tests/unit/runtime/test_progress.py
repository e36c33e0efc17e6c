"""Tests of progress on a terminal and elsewhere."""

import os
import sys
import time

import pytest

from speech_recognition.runtime import progress


class Clock:
    """Clock that the test moves."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_without_a_terminal_there_is_a_line_every_ten_seconds(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Progress("epoch 1", total=100, unit="steps") as bar:
        for _ in range(50):
            clock.now += 0.5
            bar.advance(1, note="loss 2.0")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "epoch 1: 20/100 steps, loss 2.0, 40 s left",
        "epoch 1: 40/100 steps, loss 2.0, 30 s left",
    ]


def test_bytes_are_shown_in_millions_with_their_rate(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with progress.Progress("dev-clean", total=100_000_000, unit="B") as bar:
        clock.now += 10
        bar.advance(25_000_000)
    assert capsys.readouterr().err == "dev-clean: 25.0/100.0 MB, 2.5 MB/s, 30 s left\n"


def test_what_an_earlier_program_did_is_neither_speed_nor_time_saved(
    clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    with progress.Progress("epoch 1", total=100, unit="steps", done=60) as bar:
        clock.now += 10
        bar.advance(10)
    with progress.Progress("dev-clean", total=100_000_000, unit="B", done=50_000_000) as bar:
        clock.now += 10
        bar.advance(25_000_000)
        clock.now += 10
        bar.advance(-70_000_000)  # a server whose file is a different one: it starts over
    assert capsys.readouterr().err.splitlines() == [
        "epoch 1: 70/100 steps, 30 s left",
        "dev-clean: 75.0/100.0 MB, 2.5 MB/s, 10 s left",
        "dev-clean: 5.0/100.0 MB, 0.0 MB/s",
    ]


def test_a_bar_begins_where_an_earlier_program_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress.Progress("epoch 1", total=4, unit="steps", done=3):
        pass
    assert "3/4 [00:00<?" in capsys.readouterr().err  # no rate yet


def test_on_a_terminal_there_is_a_bar_with_the_note(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress.Progress("epoch 1", total=2, unit="steps") as bar:
        for note in ("loss 2.0", "loss 1.5"):
            time.sleep(0.15)  # a bar is drawn anew ten times a second at most
            bar.advance(1, note)
    drawn = capsys.readouterr().err
    assert "epoch 1" in drawn and "2/2" in drawn and "loss 1.5" in drawn


def test_a_terminal_without_a_size_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `docker run -t` and some CI give one: a bar would be of no width."""
    terminal, program = os.openpty()
    monkeypatch.setattr(sys, "stderr", os.fdopen(program, "w"))
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    with progress.Progress("epoch 1", total=4, unit="steps") as shown:
        shown.advance(1)
    sys.stderr.close()
    assert os.read(terminal, 1000).startswith(b"epoch 1: 1/4 steps")
    os.close(terminal)
