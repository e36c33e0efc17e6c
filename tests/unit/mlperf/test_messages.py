"""Capture of what the official checkers log."""

import logging
import warnings

import pytest

from speech_recognition.mlperf.messages import messages


def test_each_message_becomes_one_line_and_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with messages() as caught:
        logging.error("two\n  lines of %s\n", "speech_ds2.out")
        logging.error("a cursor that jumps: \x1b[2J")
    assert caught == ["two lines of speech_ds2.out", "a cursor that jumps: \\x1b[2J"]
    assert capfd.readouterr() == ("", "")


def test_only_the_level_asked_for_and_above() -> None:
    with messages(logging.WARNING) as caught:
        logging.info("a note")
        logging.warning("a doubt")
        logging.error("a fault")
    assert caught == ["a doubt", "a fault"]


def test_a_level_below_the_root_loggers_own_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", logging.CRITICAL)
    with messages(logging.INFO) as caught:
        logging.info("a note")
    assert caught == ["a note"]


def test_python_warnings_of_the_checkers_are_not_shown() -> None:
    with messages() as caught:
        warnings.warn("deprecated", DeprecationWarning, stacklevel=1)  # an error by pyproject.toml outside the block
    assert caught == []


def test_the_callers_logging_is_as_before_even_after_an_error() -> None:
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with pytest.raises(ValueError, match="a checker's own"), messages(logging.DEBUG) as caught:
        raise ValueError("a checker's own")
    assert (root.level, root.handlers) == before
    logging.error("afterwards")
    assert caught == []
