"""Progress on standard error: a bar on a terminal, otherwise a line every ten seconds."""

import os
import sys
import time

from tqdm import tqdm

LINE_SECONDS = 10.0
"""Seconds between two lines where standard error is not a terminal."""


class Progress:
    """Progress of `total` units of work under a title, with the rate in MB/s if the unit is "B" (bytes).

    >>> with Progress("epoch 1", total=100, unit="step") as progress:
    ...     progress.advance(1, note="loss 2.31")
    """

    def __init__(self, title: str, total: int, unit: str, done: int = 0) -> None:
        """Begin with `done` units that were finished before, at no speed of this program; a terminal shows a bar."""
        self._title, self._total, self._unit = title, total, unit
        self._first = self._done = done
        self._start = self._printed = time.monotonic()
        self._bar = None
        if sys.stderr.isatty() and _columns() > 0:
            self._bar = tqdm(total=total, initial=done, desc=title, unit=unit, unit_scale=unit == "B", leave=False)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def advance(self, count: int, note: str = "") -> None:
        """Add `count` finished units and show `note` (such as the loss) beside them."""
        self._done += count
        if self._bar is not None:
            if note:
                self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(count)
        elif time.monotonic() - self._printed >= LINE_SECONDS:  # 8,640 lines for each day of a long run
            self._printed = time.monotonic()
            self._print_line(note)

    def _print_line(self, note: str) -> None:
        """Print a line with the finished units, the rate of bytes, `note` and the seconds left."""
        elapsed = time.monotonic() - self._start
        own = max(0, self._done - self._first)  # a download that starts over loses what was finished before
        left = f"{elapsed / own * (self._total - self._done):.0f} s left" if own else ""
        if self._unit == "B":
            done, total, rate = (each / 1e6 for each in (self._done, self._total, own / max(elapsed, 1e-9)))
            count = f"{done:.1f}/{total:.1f} MB, {rate:.1f} MB/s"
        else:
            count = f"{self._done}/{self._total} {self._unit}"
        parts = [f"{self._title}: {count}", note, left]
        print(", ".join(part for part in parts if part), file=sys.stderr, flush=True)


def _columns() -> int:
    """Return the terminal's width; 0 if it knows no size, as in some containers, where a bar would be empty."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # a stream that only claims to be a terminal
        return 80
