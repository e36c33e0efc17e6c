"""Signals that are held back until the work is between two steps."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from speech_recognition.runtime import distributed, signals


class Stopped(SystemExit):
    """Exit because of a signal, between two steps, when model and optimizer are consistent."""


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Hold signals back in the block. Yields a function, to call between steps, that raises Stopped after a signal.

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

    def check() -> None:
        """Raise Stopped if any process holds a signal."""
        nonlocal ending
        # 0 is no signal. All processes take the highest number, so that all of them end with the same status.
        number = distributed.maximum(held[0] if held else 0)
        if not number:
            return
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
    try:
        yield check
        check()
    finally:
        restore()
        if held:  # a different exception ended the block before its next check
            signal.raise_signal(held[0])
