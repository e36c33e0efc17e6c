"""Tests of the handlers of signals, in processes of their own: what is printed, and how the process ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from speech_recognition.commands import ROOT
from speech_recognition.runtime.signals import SIGNALS

START = "import gc, os, signal, sys, time; from speech_recognition.runtime import signals; signals.handle()\n"
SLEEP = "print('ready', flush=True)\ntime.sleep(30)\n"


def start(code: str, *before: str) -> "subprocess.Popen[str]":
    """Start a process that handles signals and then runs `code`; return it once it has printed a line."""
    process = subprocess.Popen(
        [*before, sys.executable, "-c", START + code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for a process; return its exit status and standard error."""
    _, errors = process.communicate(timeout=20)
    return process.returncode, errors


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_ends_the_program_with_one_line_and_its_status(number: signal.Signals) -> None:
    process = start(SLEEP)
    process.send_signal(number)
    assert ended(process) == (128 + number, f"stopped by {number.name}\n")


def test_what_is_cleaned_up_after_a_signal_is_not_cut_short_by_the_same_event() -> None:
    process = start("try:\n    print('ready', flush=True); time.sleep(30)\nfinally:\n    time.sleep(0.5)\n")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    assert ended(process) == (128 + signal.SIGTERM, "stopped by SIGTERM\n")
    assert time.monotonic() - begin < 10


def test_a_later_signal_ends_a_clean_up_that_hangs() -> None:
    code = "try:\n    print('ready', flush=True); time.sleep(30)\nfinally:\n    time.sleep(30)\n"
    process = start("signals.SAME_SECONDS = 0.1\n" + code)
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (128 + signal.SIGINT, "stopped by SIGTERM\nstopped by SIGINT\n")


def test_a_signal_that_a_destructor_swallows_is_sent_again() -> None:
    code = "class Slow:\n    def __del__(self):\n        print('ready', flush=True); time.sleep(1)\n"
    process = start(code + "Slow()\ntime.sleep(30)\n")
    process.send_signal(signal.SIGTERM)
    status, errors = ended(process)
    assert status == 128 + signal.SIGTERM
    assert set(errors.splitlines()) == {"stopped by SIGTERM"}, "without a traceback"


def test_other_errors_of_a_destructor_are_still_reported() -> None:
    process = start("class Bad:\n    def __del__(self):\n        1 / 0\nBad()\nprint('ready')\n")
    status, errors = ended(process)
    assert status == 0 and "ZeroDivisionError" in errors


def test_a_closed_terminal_does_not_end_a_program_under_nohup() -> None:
    process = start("print('ready', flush=True)\ntime.sleep(0.5)\n", "nohup")
    process.send_signal(signal.SIGHUP)
    status, errors = ended(process)
    assert status == 0 and "stopped" not in errors


def test_a_signal_is_no_traceback_while_python_shuts_down() -> None:
    process = start("signals.let_go()\n" + SLEEP)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (-signal.SIGTERM, "")
