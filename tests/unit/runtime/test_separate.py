"""Tests of calls in a process of their own."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT
from speech_recognition.errors import InputError, WorkerError
from speech_recognition.runtime.separate import call


def test_the_function_runs_in_a_different_process_and_its_result_comes_back() -> None:
    assert call(os.getpid) != os.getpid()
    assert call(int, "20", base=16) == 32


def refuse(name: str) -> None:
    raise InputError(f"{name}: not there")


def test_an_error_for_the_user_is_raised_here_with_its_line() -> None:
    with pytest.raises(InputError, match=r"^a.wav: not there$"):
        call(refuse, "a.wav")


def test_a_full_disk_keeps_its_number_and_its_file() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        call(os.stat, "/no/such/file")
    assert caught.value.filename == "/no/such/file" and caught.value.errno == 2


def test_any_other_error_is_printed_there_and_named_here(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(WorkerError, match=r"ended with status 1"):
        call(int, "twenty")
    assert "ValueError: invalid literal" in capfd.readouterr().err


def speak() -> None:
    print("spoken", end="")  # stays in the buffer of a pipe


def test_what_the_function_printed_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        call(speak)
    assert capfd.readouterr().out == 3 * "spoken"


def print_to_a_slow_file(path: str, fault: str) -> None:
    class Slow(io.StringIO):
        def flush(self) -> None:
            time.sleep(0.5)
            Path(path).write_text(self.getvalue())

    sys.stdout = Slow()
    print("all of it")
    if fault:
        raise InputError(fault)


def test_what_the_function_printed_is_written_before_its_process_is_killed(tmp_path: Path) -> None:
    call(print_to_a_slow_file, str(tmp_path / "result"), "")
    assert (tmp_path / "result").read_text() == "all of it\n"
    with pytest.raises(InputError, match=r"^a.wav: not there$"):
        call(print_to_a_slow_file, str(tmp_path / "error"), "a.wav: not there")
    assert (tmp_path / "error").read_text() == "all of it\n"


def test_a_file_behind_standard_output_that_cannot_be_written_is_raised_here(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        call(print_to_a_slow_file, str(tmp_path), "")


def kill_itself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_process_is_named_with_its_signal() -> None:
    with pytest.raises(WorkerError, match=r"ended with signal 9"):
        call(kill_itself)


def leave_a_thread() -> str:
    threading.Thread(target=time.sleep, args=(60,)).start()
    return "done"


def test_a_thread_that_still_runs_does_not_keep_the_process() -> None:
    begin = time.monotonic()
    assert call(leave_a_thread) == "done"
    assert time.monotonic() - begin < 50


WORK = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
PARENT = f"from speech_recognition.runtime import separate, signals; signals.handle(); separate.call(exec, {WORK!r})"


def test_a_signal_to_the_caller_ends_both_processes() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGTERM)
        assert parent.wait(timeout=30) == 128 + signal.SIGTERM
    assert not os.path.exists(f"/proc/{child}")
