"""Capture of the official checkers' messages, which they write to the root logger of `logging`."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from speech_recognition.errors import one_line


class _Kept(logging.Handler):
    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(one_line(" ".join(record.getMessage().split())))


@contextmanager
def messages(level: int = logging.ERROR) -> Iterator[list[str]]:
    """Yield a list that collects what the block logs at `level` or above, one line a message; nothing is printed."""
    root, handler = logging.getLogger(), _Kept(level)
    handlers, root.handlers = root.handlers, [handler]
    before = root.level
    root.setLevel(min(level, before))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield handler.messages
    finally:
        root.handlers = handlers
        root.setLevel(before)
