"""Test of the user's name in the lines of the timed run."""

import pytest

from speech_recognition.training import timed


def test_a_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert timed._user() == "unknown"
