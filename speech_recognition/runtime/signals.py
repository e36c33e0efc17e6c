"""Handlers of the signals that end the program. Imported before all else, so it imports only what loads fast."""

import math
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
"""Signals from the system, the user, a closed terminal, and Slurm before a job's time limit."""

SAME_SECONDS = 2.0
"""Seconds after a first signal in which further ones belong to the same event: `timeout` signals its command, then
the command's whole group, and a parent passes on what the terminal has already sent to all."""

stopped: list[int] = []
"""Number of the signal that ends the program; empty before one arrives."""
_moment = -math.inf
"""Time on the monotonic clock at which the latest signal arrived that was not part of an earlier one's event."""


def handled() -> list[signal.Signals]:
    """Return the signals that this process does not ignore: `nohup` starts a command with SIGHUP ignored."""
    return [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]


def handle() -> None:
    """Make each signal end the program with one line on standard error and exit status 128 + its number."""
    stopped.clear()
    for number in SIGNALS:
        if number != signal.SIGHUP or number in handled():
            signal.signal(number, _stop)
    sys.unraisablehook = _raise_again


def let_go() -> None:
    """Restore the signals' default action: while Python shuts down, it prints a traceback of what a handler raises."""
    for number in SIGNALS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_DFL)


class _Ended(SystemExit):
    """Exception that the handler raises."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


def _stop(number: int, _: FrameType | None) -> None:
    """Print a line and raise _Ended, unless the signal belongs to the same event as the latest one."""
    global _moment
    if time.monotonic() - _moment < SAME_SECONDS:
        return
    _moment = time.monotonic()
    stopped.append(number)
    # Not print(): it fails if the signal interrupted a print(). The terminal may be closed, hence `suppress`.
    with suppress(AttributeError, OSError):
        start = "\n" if sys.stderr.isatty() else ""  # a progress bar may stand on the terminal's line
        os.write(sys.stderr.fileno(), f"{start}stopped by {signal.Signals(number).name}\n".encode())
    raise _Ended(number)


def _raise_again(lost: "sys.UnraisableHookArgs") -> None:
    """Send the signal again if Python dropped what its handler raised, as in a destructor or during a fork."""
    global _moment
    if isinstance(lost.exc_value, _Ended):
        _moment = -math.inf  # the repeated signal must not count as part of the same event
        # From a thread, 10 ms later, when the destructor or fork has usually ended. If not, this function runs again.
        threading.Timer(0.01, os.kill, (os.getpid(), lost.exc_value.number)).start()
    else:
        sys.__unraisablehook__(lost)
