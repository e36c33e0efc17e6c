"""Tests of the recordings that the report page plays."""

import base64
import io
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from speech_recognition.report import listening
from speech_recognition.report.listening import Listening
from speech_recognition.report.record import Record, read_record

Maker = Callable[..., Path]
IDS = [f"{number}-1-0" for number in range(4)]


@pytest.fixture
def record(run_folder: Maker, val_dataset: Callable[[Path], None]) -> Record:
    """Return a run whose dataset is in the folder `data` beside it."""
    folder = run_folder()
    val_dataset(folder)
    return read_record(folder)


def wav(record: Record, utterance_id: str) -> Path:
    """Return the path of a recording of the dataset."""
    return record.folder.parent / "data" / "val" / "wav" / f"{utterance_id}.wav"


def test_recordings_are_embedded_as_mp3(record: Record) -> None:
    found = Listening().recordings(record, record.utterances)
    assert list(found) == IDS
    head, _, content = found["0-1-0"].partition(",")
    assert head == "data:audio/mpeg;base64"
    info = soundfile.info(io.BytesIO(base64.b64decode(content)))
    assert (info.samplerate, info.channels) == (16_000, 1)
    assert info.frames == pytest.approx(soundfile.info(wav(record, "0-1-0")).frames, abs=2400)  # whole MP3 frames


def test_what_was_not_transcribed_or_cannot_be_read_is_left_out(record: Record) -> None:
    wav(record, "1-1-0").write_bytes(b"RIFF")
    rows = record.utterances.copy()
    rows.loc[0, "reference"], rows.loc[2, "seconds"] = "A DIFFERENT TEXT", 3000.0
    assert list(Listening().recordings(record, rows)) == ["3-1-0"]


def test_a_dataset_that_has_moved_has_no_recordings(record: Record) -> None:
    (record.folder.parent / "data").rename(record.folder.parent / "elsewhere")
    assert Listening().recordings(record, record.utterances) == {}


def test_a_recording_outside_the_dataset_stays_outside_the_page(record: Record, tmp_path: Path) -> None:
    """The folder of a run and a dataset may be a stranger's, who wants a file of the user in a page that is sent on."""
    private = wav(record, "3-1-0").rename(tmp_path / "private.wav")
    wav(record, "3-1-0").symlink_to(private)
    assert list(Listening().recordings(record, record.utterances)) == IDS[:3]


def test_a_page_has_a_bound_for_all_its_runs(record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Listening().recordings(record, record.utterances)
    monkeypatch.setattr(listening, "MOST_BYTES", sum(map(len, whole.values())) + len(whole["3-1-0"]))
    source = Listening()
    assert len(source.recordings(record, record.utterances)) == 4
    again = source.recordings(record, record.utterances)
    assert "0-1-0" not in again and sum(map(len, again.values())) <= len(whole["3-1-0"])
