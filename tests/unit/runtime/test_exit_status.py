"""Tests of how a missed target reaches the launcher."""

import pytest

from speech_recognition.errors import ExitStatus
from speech_recognition.runtime.exit_status import told_to_launcher


@pytest.mark.parametrize("status", [0, 1, 2, 128 + 15])
def test_what_is_no_missed_target_stays_as_it_is(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert told_to_launcher(status, {"TORCHELASTIC_RUN_ID": "job", "RANK": "0"}) == status
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("rank", "lines"), [("0", 1), ("1", 0)])
def test_a_torchrun_typed_by_hand_is_explained_once(rank: str, lines: int, capsys: pytest.CaptureFixture[str]) -> None:
    environment = {"TORCHELASTIC_RUN_ID": "job", "RANK": rank}
    assert told_to_launcher(ExitStatus.TARGET_MISSED, environment) == ExitStatus.TARGET_MISSED
    assert capsys.readouterr().err.count("the target was missed: torchrun reports this as a failure") == lines


def test_a_process_alone_has_nobody_to_tell(capsys: pytest.CaptureFixture[str]) -> None:
    assert told_to_launcher(ExitStatus.TARGET_MISSED, {}) == ExitStatus.TARGET_MISSED
    assert capsys.readouterr() == ("", "")
