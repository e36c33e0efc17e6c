"""Processes that end when their parent does, however it ends."""

import os
import signal
import subprocess
import sys
import time

import pytest

from speech_recognition.commands import ROOT

CHILD = (
    "import os, sys, time; from speech_recognition.runtime.parenthood import end_with_parent;"
    " end_with_parent(int(sys.argv[1])); print(os.getpid(), flush=True); time.sleep(60)"
)
PARENT = f"import os, subprocess, sys; subprocess.run([sys.executable, '-c', {CHILD!r}, str(os.getpid())])"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_a_child_ends_with_a_parent_that_is_killed() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", PARENT], env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    end = time.monotonic() + 10
    while os.path.exists(f"/proc/{child}") and time.monotonic() < end:
        time.sleep(0.05)
    assert not os.path.exists(f"/proc/{child}")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's end")
def test_a_child_whose_parent_has_ended_before_ends_at_once() -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    result = subprocess.run([sys.executable, "-c", CHILD, "999999999"], env=environment, timeout=30)
    assert result.returncode == -signal.SIGKILL
