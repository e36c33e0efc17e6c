"""What the official checkers say: they write to the root logger, and some end well whatever they find."""

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
    """What is logged in the block at `level` or above, each message on one line; nothing is printed."""
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
