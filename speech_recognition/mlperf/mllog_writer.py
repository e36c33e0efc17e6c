"""mlperf_logging's own lines, written to a given stream instead of standard output."""

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


class TextSink(Protocol):
    """Where lines go: a text file, standard output, or both behind one object."""

    def write(self, text: str, /) -> object:
        """Take some text."""

    def flush(self) -> object:
        """Pass on what is held back."""


class _Keeper(logging.Handler):
    """Keeps the text of the last record; refuses MLLogger's complaints about a value or metadata."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno != logging.INFO:
            raise ValueError(record.getMessage().strip())
        self.text = record.getMessage()


class MllogWriter:
    """Writes `:::MLLOG` lines with times that never go back and the caller's file and line.

    MLLogger writes through a logger of this object alone, which is in no
    hierarchy: nothing reaches the root logger and no handler is left behind.
    """

    def __init__(self, stream: TextSink) -> None:
        self._stream = stream
        self._keeper = _Keeper()
        logger = logging.Logger("mllog", logging.INFO)
        logger.addHandler(self._keeper)
        # MLLogger takes the folder to cut off file names as a regular expression.
        self._mllog = MLLogger(logger, root_dir=re.escape(str(REPOSITORY)))
        # The wall clock may be set back during a run, the monotonic one may not.
        self._epoch_ns = time.time_ns() - time.monotonic_ns()

    def write(self, event: str, key: str, value: object, metadata: dict[str, object]) -> int:
        """Write one line of event type `event`; return its time in milliseconds since 1970.

        Raises OSError if the stream cannot be written, ValueError if `value` or
        `metadata` cannot be encoded.
        """
        methods = {
            constants.INTERVAL_START: self._mllog.start,
            constants.INTERVAL_END: self._mllog.end,
            constants.POINT_IN_TIME: self._mllog.event,
        }
        time_ms = (self._epoch_ns + time.monotonic_ns()) // 1_000_000
        methods[event](key, value, metadata=metadata, time_ms=time_ms, stack_offset=1 + _frames_to_caller())
        # Not in the handler: MLLogger takes any error there for one of encoding.
        self._stream.write(self._keeper.text + "\n")
        self._stream.flush()
        return time_ms


def _frames_to_caller() -> int:
    """Frames between `MllogWriter.write` and the first one outside this package and contextlib."""
    inside = str(Path(__file__).parent) + os.sep
    context = contextmanager.__code__.co_filename
    frame: FrameType | None = sys._getframe(1)
    depth = 0
    while frame and (frame.f_code.co_filename.startswith(inside) or frame.f_code.co_filename == context):
        frame = frame.f_back
        depth += 1
    return depth
