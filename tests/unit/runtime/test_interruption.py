"""Tests that a signal waits for the end of a training step."""

import importlib.util
import os
import random
import signal
import sys
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT
from speech_recognition.runtime import distributed, signals
from speech_recognition.runtime.interruption import Stopped, between_steps
from speech_recognition.runtime.signals import SIGNALS


@pytest.fixture(autouse=True)
def ends_the_program(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """End the program at a signal, as the command line does; return the list of the signals that arrived."""
    seen: list[int] = []

    def stop(number: int, _: object) -> None:
        seen.append(number)
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    yield seen
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_for_the_end_of_the_step(number: signal.Signals) -> None:
    done = []
    with pytest.raises(Stopped) as stopped, between_steps() as check:
        for step in range(3):
            if step == 1:
                os.kill(os.getpid(), number)
            done.append(step)
            check()
    assert done == [0, 1] and stopped.value.code == 128 + number


def test_one_after_the_last_step_is_not_lost() -> None:
    with pytest.raises(Stopped), between_steps() as check:
        check()
        os.kill(os.getpid(), signal.SIGTERM)


def test_one_that_the_steps_message_was_too_early_for_is_not_missed() -> None:
    with pytest.raises(Stopped), between_steps() as check:
        os.kill(os.getpid(), signal.SIGTERM)
        check(0)
        raise AssertionError("a process on its own asks nobody")


def test_several_processes_believe_the_steps_message_and_send_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> int:
        raise AssertionError("a second message")

    with pytest.raises(Stopped) as stopped, between_steps() as check, monkeypatch.context() as two:
        two.setattr(distributed, "size", lambda: 2)
        two.setattr(distributed, "maximum", refuse)
        os.kill(os.getpid(), signal.SIGTERM)
        assert check.held() == signal.SIGTERM
        check(0)  # too late for this step's message: the others know nothing of it
        check(signal.SIGTERM)
    assert stopped.value.code == 128 + signal.SIGTERM


def test_a_second_signal_does_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "SAME_SECONDS", 0.0)
    done = []
    with pytest.raises(SystemExit) as ended, between_steps() as check:
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("still in the step")
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("never")
        check()
    assert not isinstance(ended.value, Stopped) and done == ["still in the step"]


def test_a_signal_that_is_sent_twice_is_one() -> None:
    """`timeout` sends its own to the command, then to the command's group."""
    done = []
    with pytest.raises(Stopped), between_steps() as check:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        done.append("the step")
        check()
    assert done == ["the step"]


def test_a_signal_that_was_ignored_stays_so() -> None:
    """As SIGHUP under `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with between_steps() as check:
        os.kill(os.getpid(), signal.SIGHUP)
        check()
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_a_fault_in_the_step_does_not_swallow_the_signal(ends_the_program: list[int]) -> None:
    with pytest.raises(SystemExit), between_steps():
        os.kill(os.getpid(), signal.SIGTERM)
        raise ZeroDivisionError
    assert ends_the_program == [signal.SIGTERM]


def test_handlers_are_as_before(ends_the_program: list[int]) -> None:
    handlers = [signal.getsignal(number) for number in SIGNALS]
    with between_steps():
        assert [signal.getsignal(number) for number in SIGNALS] != handlers
    assert [signal.getsignal(number) for number in SIGNALS] == handlers


def test_an_interrupt_of_plain_python_too() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(Stopped) as stopped, between_steps() as check:
        os.kill(os.getpid(), signal.SIGINT)
        check()
    assert stopped.value.code == 130


def test_runs_that_are_terminated_with_their_group_end_in_the_same_bits(tone_dataset: Path, tmp_path: Path) -> None:
    """Three moments of `benchmarks/kills.py --signal TERM`."""
    specification = importlib.util.spec_from_file_location("kills", ROOT / "benchmarks" / "kills.py")
    assert specification and specification.loader
    kills = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(kills)
    # Without the report, which takes longer than the training.
    script = "import contextlib, runpy; from speech_recognition.report import page"
    script += "; page.own_report = lambda *_: contextlib.nullcontext()"
    script += "; runpy.run_module('speech_recognition', run_name='__main__')"
    kills.PROGRAM = [sys.executable, "-c", script]
    manifests, draw = tone_dataset / "manifests", random.Random(1)
    with kills.start(tmp_path / "undisturbed", manifests, signal.SIGTERM) as undisturbed:
        moments = iter([draw.uniform(0, 0.5) for _ in range(3)])
        places = list(kills.disturbed(tmp_path / "run", manifests, signal.SIGTERM, moments))
        assert undisturbed.communicate(timeout=60) and undisturbed.returncode == 3
    assert places and kills.outcome(tmp_path / "run") == kills.outcome(tmp_path / "undisturbed")
