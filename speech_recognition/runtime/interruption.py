"""Signals that wait until the work is between two steps."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from speech_recognition.runtime import distributed, signals


class Stopped(SystemExit):
    """The program ends by a signal, and what it works on is whole."""


@contextmanager
def between_steps() -> Iterator[Callable[[], None]]:
    """Hold signals back in the block, until it calls what this gives: that raises Stopped if one has come.

    The handlers from before the block say what a signal means; a second signal goes to them at once, unless it
    is part of the same event (signals.SAME_SECONDS).
    All processes of a run call it after the same step, and end there even if only one has been sent a
    signal; in such a run all further signals are ignored, as torchrun sends on what a terminal has sent already.
    """
    before = {number: signal.getsignal(number) for number in signals.handled()}
    held: list[int] = []
    first, ending = 0.0, False

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if ending else handler)

    def hold(number: int, _: FrameType | None) -> None:
        nonlocal first
        if not held:
            first = time.monotonic()
        elif distributed.size() == 1 and time.monotonic() - first >= signals.SAME_SECONDS:
            held.clear()
            restore()
            signal.raise_signal(number)
            return
        held.append(number)

    def check() -> None:
        nonlocal ending
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
        if held:  # another exception has ended the block before its next step
            signal.raise_signal(held[0])
