"""Capture of the official checkers' messages, which they write to the root logger of `logging`."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from speech_recognition.errors import one_line


class _Kept(logging.Handler):
    """Handler that keeps each message as one line."""

    def __init__(self, level: int) -> None:
        """Keep messages at `level` or above."""
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of `record`, with its line ends as spaces and its control characters escaped."""
        self.messages.append(one_line(" ".join(record.getMessage().split())))


@contextmanager
def messages(level: int = logging.ERROR) -> Iterator[list[str]]:
    """Yield a list that collects what the block logs at `level` or above, one line a message; nothing is printed."""
    # The checkers have no logger of their own. A handler beside the root logger's own would leave those printing each
    # message, so they are replaced.
    root, handler = logging.getLogger(), _Kept(level)
    handlers, root.handlers = root.handlers, [handler]
    before = root.level
    root.setLevel(min(level, before))  # the root logger drops messages below its level before any handler sees them
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield handler.messages
    finally:
        root.handlers = handlers
        root.setLevel(before)
