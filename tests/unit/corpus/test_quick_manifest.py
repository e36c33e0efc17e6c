"""Manifests read by columns: the result is that of reading them row by row, whatever they hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.corpus import quick_manifest
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.corpus.quick_manifest import read_table
from speech_recognition.errors import InputError
from speech_recognition.lengths import ctc_frames

HEADER = "utterance_id,audio,text,transcript,seconds,samples,speaker,subset,bytes\n"
GOOD = {
    "utterance_id": "1-2-3",
    "audio": "a.wav",
    "text": "a.txt",
    "transcript": "IT'S ALL GOOD",
    "seconds": "0.25",
    "samples": "4000",
    "speaker": "1",
    "subset": "dev-clean",
    "bytes": "8044",
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a manifest with a good row before and after one with the given fields."""
    for name in ("a.wav", "b.wav", "c.wav", "é.wav", "x,y.wav"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "link.wav").symlink_to("a.wav")

    def written(**fields: str) -> Path:
        first = GOOD | {"utterance_id": "1-2-0"}
        rows = [",".join(row.values()) for row in (first, GOOD | fields, GOOD | {"utterance_id": "1-2-9"})]
        path = tmp_path / "train.csv"
        path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
        return path

    return written


@pytest.fixture
def by_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if the manifest is read row by row."""

    def refuse(path: Path) -> Any:
        raise AssertionError(f"{path} was read row by row")

    monkeypatch.setattr(quick_manifest, "read_manifest", refuse)


@pytest.mark.usefixtures("by_columns")
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"text": "", "speaker": "", "subset": ""},
        {"audio": "./b.wav", "samples": "57600000", "seconds": "3600"},
        {"audio": "link.wav", "transcript": " A  A ", "seconds": "1e-3"},
        {"utterance_id": "~ first", "samples": "1", "bytes": "999999999999999"},
    ],
)
def test_a_good_manifest_is_read_by_columns(write: Callable[..., Path], fields: dict[str, str]) -> None:
    path = write(**fields)
    table = read_table(path)
    assert list(table) == read_manifest(path)
    assert table.ctc_frames.tolist() == [ctc_frames(each.transcript) for each in table]


@pytest.mark.usefixtures("by_columns")
def test_the_manifests_of_a_dataset_are_read_by_columns(tone_dataset: Path) -> None:
    for split in ("train", "val"):
        path = tone_dataset / "manifests" / f"{split}.csv"
        assert list(read_table(path)) == read_manifest(path)


@pytest.mark.parametrize(
    "fields",
    [
        {"transcript": "it's lower case"},
        {"audio": '"x,y.wav"'},
        {"audio": "é.wav"},
        {"samples": "04000", "bytes": "008044"},
        {"seconds": "1_0"},
    ],
)
def test_what_is_unusual_and_good_is_read_too(write: Callable[..., Path], fields: dict[str, str]) -> None:
    path = write(**fields)
    assert list(read_table(path)) == read_manifest(path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"utterance_id": "1-2-0"}, "appears twice"),
        ({"utterance_id": ""}, "utterance_id is empty"),
        ({"utterance_id": "x" * 201}, "at most 200 characters"),
        ({"speaker": "x" * 201}, "at most 200 characters"),
        ({"subset": "bell\a"}, "must be printable"),
        ({"audio": "gone.wav"}, "does not exist"),
        ({"audio": "folder.wav"}, "is not a regular file"),
        ({"audio": "gone/a.wav"}, "does not exist"),
        ({"transcript": "  "}, "is empty"),
        ({"transcript": "UNDER_SCORE"}, "outside the alphabet"),
        ({"transcript": "NO 1"}, "outside the alphabet"),
        ({"samples": "0"}, "samples is '0'"),
        ({"samples": "-5"}, "samples is '-5'"),
        ({"samples": "57600001"}, "must be at most 57600000"),
        ({"samples": "9" * 30}, "samples is"),
        ({"seconds": "nan"}, "seconds is 'nan'"),
        ({"seconds": "-1"}, "seconds is '-1'"),
        ({"seconds": "long"}, "seconds is 'long'"),
        ({"bytes": "0"}, "bytes is '0'"),
        ({"bytes": ""}, "bytes is ''"),
        ({"bytes": "1,2"}, "10 fields, must be 9"),
    ],
)
def test_a_fault_is_named_with_its_line(write: Callable[..., Path], fields: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=rf"train\.csv:3: .*{message}"):
        read_table(write(**fields))


def test_rows_whose_fields_only_add_up_are_not_taken_for_good(write: Callable[..., Path]) -> None:
    path = write()
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], f"{rows[1]},", rows[2].rpartition(",")[0], rows[3]]) + "\n")
    with pytest.raises(InputError, match=r"train\.csv:2: 10 fields"):
        read_table(path)


def test_rows_in_any_order_come_shortest_first(write: Callable[..., Path]) -> None:
    path = write(utterance_id="0-0-0", samples="3999")
    assert [each.id for each in read_table(path)] == ["0-0-0", "1-2-0", "1-2-9"]
    path = write(utterance_id="1-2-00")
    assert list(read_table(path)) == read_manifest(path)
    path = write(utterance_id="0-0-0")
    assert [each.id for each in read_table(path)] == ["0-0-0", "1-2-0", "1-2-9"]


@pytest.mark.parametrize("content", ["", HEADER, HEADER[:-1], "nothing\n"])
def test_a_manifest_without_rows_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(InputError, match=r"train\.csv"):
        read_table(tmp_path / "train.csv")


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: No such file"):
        read_table(tmp_path / "gone.csv")
