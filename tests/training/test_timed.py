import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import params
from speech_recognition.training import timed


@pytest.mark.parametrize(
    ("statuses", "expected", "commands"),
    [([0, 0], 0, ["download", "verify"]), ([2], 2, ["download"]), ([0, 1], 1, ["download", "verify"])],
)
def test_the_embedded_data_are_made_then_verified_until_something_fails(
    statuses: list[int], expected: int, commands: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    remaining = iter(statuses)

    def fake(arguments: list[str], stdout: int) -> SimpleNamespace:
        assert stdout == sys.stderr.fileno()
        calls.append(arguments)
        return SimpleNamespace(returncode=next(remaining))

    monkeypatch.setattr(sys, "stderr", sys.__stderr__)
    monkeypatch.setattr(subprocess, "run", fake)
    assert timed.make_embedded_dataset(params.mini(), Path("data")) == expected
    assert [arguments[3:] for arguments in calls] == [[name, "mini", "--data-dir", "data"] for name in commands]


def test_a_dataset_of_the_users_own_is_left_alone(tone_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("a process was started"))
    assert timed.make_embedded_dataset(params.mini(), tone_dataset) == 0
    assert timed.make_embedded_dataset(params.reference(), Path("data")) == 0


def test_a_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert timed._user() == "unknown"
