"""Tests that lines are exactly those of mlperf_logging, and that no failure is swallowed."""

import errno
import io
import logging

import pytest
from mlperf_logging.mllog.mllog import MLLogger

from speech_recognition.mlperf.mllog_writer import MllogWriter


def test_a_line_is_mlperf_loggings_own(caplog: pytest.LogCaptureFixture) -> None:
    stream = io.StringIO()
    time_ms = MllogWriter(stream).write("POINT_IN_TIME", "seed", 7, {"unit": "x"})
    logger = logging.getLogger("tests.mllog")
    with caplog.at_level(logging.INFO, logger.name):
        MLLogger(logger).event("seed", 7, metadata={"unit": "x"}, time_ms=time_ms)
    ours, theirs = stream.getvalue(), caplog.messages[0] + "\n"
    assert ours.split('"metadata"')[0] == theirs.split('"metadata"')[0]
    assert ours.endswith(', "unit": "x"}}\n') and theirs.endswith(', "unit": "x"}}\n')


def test_each_line_is_flushed() -> None:
    class Stream(io.StringIO):
        flushed = ""

        def flush(self) -> None:
            self.flushed = self.getvalue()

    stream = Stream()
    MllogWriter(stream).write("INTERVAL_START", "init_start", None, {})
    assert stream.flushed.endswith("\n")


def test_a_stream_that_cannot_be_written_fails_the_run() -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        MllogWriter(Full()).write("POINT_IN_TIME", "seed", 7, {})


@pytest.mark.parametrize(("value", "metadata"), [(object(), {}), (1, {"tensor": {1, 2}}), (1, {"lineno": 3})])
def test_what_cannot_be_encoded_is_refused(value: object, metadata: dict[str, object]) -> None:
    stream = io.StringIO()
    with pytest.raises(ValueError):
        MllogWriter(stream).write("POINT_IN_TIME", "seed", value, metadata)
    assert stream.getvalue() == ""
