"""Tests that C code's messages are dropped, and only those."""

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from threading import Event, Thread

import pytest

from speech_recognition.runtime import c_messages

pytestmark = pytest.mark.skipif(c_messages._variable_and_null() is None, reason="no glibc")

Say = Callable[[str], None]


@pytest.fixture
def say() -> Say:
    """Return a function that prints as C code does."""
    library = ctypes.CDLL(None)
    stream = ctypes.c_void_p.in_dll(library, "stderr")

    def say(text: str) -> None:
        library.fputs(text.encode(), stream)
        library.fflush(stream)

    return say


def test_only_messages_of_c_code_are_dropped(capfd: pytest.CaptureFixture[str], say: Say) -> None:
    say("before ")
    with c_messages.dropped():
        say("dropped ")
        os.write(2, b"descriptor ")
        subprocess.run([sys.executable, "-c", "import os; os.write(2, b'process ')"], check=True)
    say("after")
    assert capfd.readouterr().err == "before descriptor process after"


def test_an_exception_ends_the_dropping(capfd: pytest.CaptureFixture[str], say: Say) -> None:
    with pytest.raises(KeyError), c_messages.dropped():
        raise KeyError
    say("after")
    assert capfd.readouterr().err == "after"


def test_blocks_of_two_threads_may_overlap(capfd: pytest.CaptureFixture[str], say: Say) -> None:
    entered, leave = Event(), Event()

    def other() -> None:
        with c_messages.dropped():
            entered.set()
            leave.wait(10)

    thread = Thread(target=other)
    with c_messages.dropped():
        thread.start()
        assert entered.wait(10)
    say("dropped ")
    leave.set()
    thread.join()
    say("after")
    assert capfd.readouterr().err == "after"
