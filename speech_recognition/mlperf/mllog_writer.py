"""A writer of `:::MLLOG` lines: mlperf_logging.mllog formats them, and they go to a given stream."""

import logging
import os
import re
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Protocol

from mlperf_logging.mllog import constants
from mlperf_logging.mllog.mllog import MLLogger

REPOSITORY = Path(__file__).absolute().parents[2]
"""Root of the repository, to which the file names in log lines are relative."""


class TextSink(Protocol):
    """Destination of log lines: a text file, standard output, or both behind one object."""

    def write(self, text: str, /) -> object:
        """Append text."""

    def flush(self) -> object:
        """Write out buffered text."""


class _Keeper(logging.Handler):
    """Handler that keeps the text of the last record; raises ValueError when MLLogger warns of a bad value."""

    text = ""
    """Text of the last record, without a line end."""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the text of `record`. Raises ValueError if it is a warning."""
        if record.levelno != logging.INFO:
            raise ValueError(record.getMessage().strip())
        self.text = record.getMessage()


class MllogWriter:
    """Writer of `:::MLLOG` lines, with times that never go back and with the caller's file and line.

    MLLogger gets a `logging.Logger` that only this object uses and that is outside the hierarchy of loggers, so that
    nothing reaches the root logger and no handler is left behind.
    """

    def __init__(self, stream: TextSink) -> None:
        """Make a writer to `stream`, whose times follow the system's clock of this moment."""
        self._stream = stream
        self._keeper = _Keeper()
        logger = logging.Logger("mllog", logging.INFO)
        logger.addHandler(self._keeper)
        # MLLogger uses root_dir as a regular expression, which it removes from file names.
        self._mllog = MLLogger(logger, root_dir=re.escape(str(REPOSITORY)))
        # The system's clock can be set back during a run; the monotonic clock cannot.
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    def write(self, event: str, key: str, value: object, metadata: dict[str, object]) -> int:
        """Write one line and return its time in milliseconds since 1970.

        `event` is one of mllog.constants' event types. Raises OSError if the stream cannot be written, ValueError if
        `value` or `metadata` cannot be encoded as JSON.
        """
        methods = {
            constants.INTERVAL_START: self._mllog.start,
            constants.INTERVAL_END: self._mllog.end,
            constants.POINT_IN_TIME: self._mllog.event,
        }
        time_ms = (self._epoch_ns + time.monotonic_ns()) // 1_000_000
        methods[event](key, value, metadata=metadata, time_ms=time_ms, stack_offset=1 + _frames_to_caller())
        # The handler does not write: MLLogger would report an OSError of the stream as an encoding error.
        self._stream.write(self._keeper.text + "\n")
        self._stream.flush()  # each line at once: after SIGKILL, the log ends with the last line that was written
        return time_ms


def _frames_to_caller() -> int:
    """Return the number of stack frames between `MllogWriter.write` and its first caller outside this package.

    Frames of contextlib do not count as callers, since RunLog writes lines in context managers.
    """
    inside = str(Path(__file__).parent) + os.sep
    context = contextmanager.__code__.co_filename
    frame: FrameType | None = sys._getframe(1)
    depth = 0
    while frame and (frame.f_code.co_filename.startswith(inside) or frame.f_code.co_filename == context):
        frame = frame.f_back
        depth += 1
    return depth
