"""The signals that end the program, from its first line to its last. Imports nothing that takes time."""

import math
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""Sent by the system, by the user, by a terminal that is closed, and by Slurm before its time limit."""

SAME_SECONDS = 2.0
"""Signals that come within this time of the first are one event: `timeout` sends each one to its command, then to
the command's whole group, and a parent passes on what the terminal has sent already."""

stopped: list[int] = []
"""The signal that ends the program, once it has come."""
_moment = -math.inf
"""when it came, by the monotonic clock"""


def handled() -> list[signal.Signals]:
    """Return the signals that this process does not ignore: `nohup` starts a command with SIGHUP ignored."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def handle() -> None:
    """Let each signal end the program in one line, with exit status 128 + its number."""
    stopped.clear()
    for number in SIGNALS:
        if number != signal.SIGHUP or number in handled():
            signal.signal(number, _stop)
    sys.unraisablehook = _raise_again


def let_go() -> None:
    """Let each signal end the process at once: Python's own end would make a traceback of what a handler raises."""
    for number in SIGNALS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_DFL)


class _Ended(SystemExit):
    """What the handler raises."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def _stop(number: int, _: FrameType | None) -> None:
    global _moment
    if time.monotonic() - _moment < SAME_SECONDS:
        return
    _moment = time.monotonic()
    stopped.append(number)
    # Not by print(), which fails where the signal has interrupted another one. A terminal may be gone.
    with suppress(AttributeError, OSError):
        os.write(sys.stderr.fileno(), f"stopped by {signal.Signals(number).name}\n".encode())
    raise _Ended(number)


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Send the signal again where Python drops what its handler raised: in a destructor, or while a process forks."""
    global _moment
    if isinstance(lost.exc_value, _Ended):
        _moment = -math.inf
        threading.Timer(0.01, os.kill, (os.getpid(), lost.exc_value.number)).start()
    else:
        sys.__unraisablehook__(lost)
