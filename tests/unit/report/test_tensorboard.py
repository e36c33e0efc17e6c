"""Tests of TensorBoard's event files."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from speech_recognition.errors import InputError
from speech_recognition.report.record import read_record
from speech_recognition.report.tensorboard import write_events


def test_tensorboard_reads_the_curves(run_folder: Callable[..., Path], tmp_path: Path) -> None:
    write_events(tmp_path / "events", read_record(run_folder()))
    events = EventAccumulator(str(tmp_path / "events" / "run"))
    events.Reload()
    wers = [(event.step, round(event.value, 1)) for event in events.Scalars("val/wer")]
    assert wers == [(1_200, 53.2), (2_400, 21.0)]
    losses = events.Scalars("train/loss so far in the epoch")
    assert len(losses) == 14 and losses[0].step == 160 and losses[7].step == 1_360
    assert losses[0].value == pytest.approx(sum(100 / number for number in range(1, 11)) / 10)


def test_a_run_is_not_written_twice(run_folder: Callable[..., Path], tmp_path: Path) -> None:
    record = read_record(run_folder())
    write_events(tmp_path / "events", record)
    with pytest.raises(InputError, match=r"--tensorboard .*events: has run already"):
        write_events(tmp_path / "events", record)
