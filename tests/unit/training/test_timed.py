from pathlib import Path

import pytest

import params
from speech_recognition.training import division, timed


def test_the_embedded_data_are_made_by_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(division, "run_command", lambda *words: commands.append(words))
    timed.make_embedded_dataset(params.mini(), Path("data"))
    assert commands == [("download", "mini", "--data-dir", "data")]


def test_a_dataset_of_the_users_own_is_left_alone(tone_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(division, "run_command", lambda *_: pytest.fail("a command was run"))
    timed.make_embedded_dataset(params.mini(), tone_dataset)
    timed.make_embedded_dataset(params.reference(), Path("data"))


def test_a_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert timed._user() == "unknown"
