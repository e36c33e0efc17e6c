"""Signals that are held back until the work is between two steps."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from speech_recognition.runtime import distributed, signals


class Stopped(SystemExit):
    """Exit because of a signal, between two steps, when model and optimizer are consistent."""


@dataclass(frozen=True)
class Check:
    """Question, asked between steps, whether a signal has arrived."""

    held: Callable[[], int]
    """Function that returns the number of the signal that this process holds, or 0."""
    end: Callable[[int], None]
    """Function that ends the process by a signal of this number."""

    def __call__(self, told: int | None = None) -> None:
        """Raise Stopped if any process holds a signal.

        told: highest number that the processes held, which the step's own message has told all of them. Without it,
        they exchange a message here.
        """
        # All processes take the same number, so that all of them end with the same status. A process on its own need
        # not ask, and takes a signal that came after the step's message too.
        number = told if told is not None and distributed.size() > 1 else distributed.maximum(self.held())
        if number:
            self.end(number)


@contextmanager
def between_steps() -> Iterator[Check]:
    """Hold signals back in the block. Yields a check, to call between steps, that raises Stopped after a signal.

    A held signal is then passed to the handler from before the block; a second one goes there at once, unless it is
    part of the same event (signals.SAME_SECONDS).
    All processes of a run must call the function after the same step; all of them stop if any one got a signal. With
    several processes, signals that arrive after that are ignored: torchrun repeats what a terminal has already sent.
    """
    before = {number: signal.getsignal(number) for number in signals.handled()}
    held: list[int] = []
    first, ending = 0.0, False

    def restore() -> None:
        """Restore the handlers from before the block, or ignore the signals if all processes are ending."""
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if ending else handler)

    def hold(number: int, _: FrameType | None) -> None:
        """Keep the signal for the next check, or pass on a second one of a different event."""
        nonlocal first
        if not held:
            first = time.monotonic()
        elif distributed.size() == 1 and time.monotonic() - first >= signals.SAME_SECONDS:
            # A step can take 45 s (docs/RESULTS.md), too long for some users. Not with several processes: the others
            # would wait for this one in the step's next message.
            held.clear()
            restore()
            signal.raise_signal(number)
            return
        held.append(number)

    def end(number: int) -> None:
        """Raise Stopped by way of the handler from before the block."""
        nonlocal ending
        held.clear()
        restore()
        try:
            signal.raise_signal(number)
        except (SystemExit, KeyboardInterrupt) as error:
            ending = distributed.size() > 1
            restore()
            raise Stopped(getattr(error, "code", None) or 128 + number) from None

    for number in before:
        signal.signal(number, hold)
    check = Check(held=lambda: held[0] if held else 0, end=end)
    try:
        yield check
        check()
    finally:
        restore()
        if held:  # a different exception ended the block before its next check
            signal.raise_signal(held[0])
