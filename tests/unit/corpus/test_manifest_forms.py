"""Tests of the four forms of a manifest."""

import csv
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.corpus.audio import write_wav
from speech_recognition.corpus.manifest import Utterance, by_length, read_manifest, write_manifest
from speech_recognition.corpus.manifest_forms import COLUMNS, SUFFIXES, WRITERS, is_manifest, read_rows
from speech_recognition.errors import InputError

FOREIGN = sorted(set(WRITERS) - {"csv"})

names = st.text("abcXYZ019-_ ,\"'é", min_size=1, max_size=12).filter(lambda name: name.strip(" ."))
transcripts = st.lists(st.text("ABCXYZ'", min_size=1, max_size=5), min_size=1, max_size=4).map(" ".join)


@st.composite
def utterances(draw: st.DrawFn, folder: Path) -> list[Utterance]:
    """Utterances whose recordings and texts are there, as `prepare` leaves them."""
    result = []
    for name in draw(st.lists(names, min_size=1, max_size=4, unique=True)):
        audio, text = folder / "train" / "wav" / f"{name}.wav", folder / "train" / "txt" / f"{name}.txt"
        samples, transcript = draw(st.integers(1, 400)), draw(transcripts)
        for path in (audio, text):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_wav(audio, np.zeros(samples, np.int16))
        text.write_text(transcript + "\n")
        result.append(
            Utterance(
                id=name,
                audio=audio,
                text=text,
                transcript=transcript,
                seconds=samples / 16_000,
                samples=samples,
                speaker=draw(names),
                subset=draw(names),
                bytes=44 + 2 * samples,
            )
        )
    return result


@pytest.mark.parametrize("form", FOREIGN)
@given(data=st.data())
def test_a_manifest_of_another_system_comes_back(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("dataset")
    rows = data.draw(utterances(folder))
    path = folder / "manifests" / f"train{SUFFIXES[form]}"
    write_manifest(path, rows, form)
    # What the form has no place for is lost: its text file, speaker and subset.
    text = {"text": None} if form == "tensorflow" else {}
    expected = [dataclasses.replace(row, speaker="", subset="train", **text) for row in rows]
    assert read_manifest(path) == sorted(expected, key=by_length)


@pytest.fixture
def one(tmp_path: Path) -> list[Utterance]:
    wav, txt = tmp_path / "d" / "val" / "wav" / "a.wav", tmp_path / "d" / "val" / "txt" / "a.txt"
    return [Utterance("a", wav, txt, "GO ON", 0.25, 4000, "84", "dev-clean", 8044)]


def test_the_mlperf_form_is_two_absolute_paths(one: list[Utterance], tmp_path: Path) -> None:
    path = tmp_path / "d" / "manifests" / "val.mlperf.csv"
    write_manifest(path, one, "mlperf")
    assert path.read_text() == f"{tmp_path}/d/val/wav/a.wav,{tmp_path}/d/val/txt/a.txt\n"


def test_the_tensorflow_form_has_tabs_and_lower_case(one: list[Utterance], tmp_path: Path) -> None:
    path = tmp_path / "d" / "manifests" / "val.tensorflow.csv"
    write_manifest(path, one, "tensorflow")
    assert path.read_text() == (f"wav_filename\twav_filesize\ttranscript\n{tmp_path}/d/val/wav/a.wav\t8044\tgo on\n")


def test_the_pytorch_form_has_paths_below_its_root(one: list[Utterance], tmp_path: Path) -> None:
    path = tmp_path / "d" / "manifests" / "val.json"
    write_manifest(path, one, "deepspeech.pytorch")
    assert json.loads(path.read_text()) == {
        "root_path": f"{tmp_path}/d",
        "samples": [{"wav_path": "val/wav/a.wav", "transcript_path": "val/txt/a.txt"}],
    }


@pytest.mark.parametrize("form", ["mlperf", "deepspeech.pytorch"])
def test_a_form_that_names_texts_refuses_an_utterance_without_one(
    one: list[Utterance], tmp_path: Path, form: str
) -> None:
    path = tmp_path / "d" / "manifests" / "val"
    with pytest.raises(InputError, match="utterance a has no text file"):
        write_manifest(path, [dataclasses.replace(one[0], text=None)], form)
    assert not list(path.parent.iterdir())


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        ("a.wav,a.txt\n", {"audio": "a.wav", "text": "a.txt"}),
        ('"a,b.wav",a.txt\r\n\r\n', {"audio": "a,b.wav", "text": "a.txt"}),
        ("\ufeffaudio,transcript\r\na.wav,GO\r\n", {"audio": "a.wav", "transcript": "GO"}),
        ("transcript,audio,speaker\nGO,a.wav,7\n", {"audio": "a.wav", "transcript": "GO", "speaker": "7"}),
        (
            "wav_filename\twav_filesize\ttranscript\r\na.wav\t12\tgo on\r\n",
            {"audio": "a.wav", "bytes": "12", "transcript": "go on"},
        ),
        (
            ' {\n"samples": [{"transcript_path": "a.txt", "wav_path": "a.wav"}], "root_path": "/r"}',
            {"audio": "/r/a.wav", "text": "/r/a.txt"},
        ),
    ],
)
def test_a_file_is_read_by_its_looks(tmp_path: Path, content: str, fields: dict[str, str]) -> None:
    path = tmp_path / "manifest"
    path.write_text(content, newline="")
    assert [row.fields for row in read_rows(path)] == [fields]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ":1: not the first line of a manifest"),
        (b"a,b,c\n", ":1: not the first line of a manifest"),
        (b"audio,transcipt\n", ":1: column 'transcipt' is unknown or repeated"),
        (b"audio,audio,text\n", ":1: column 'audio' is unknown or repeated"),
        (b"audio,speaker\n", ":1: no column transcript"),
        (",".join(COLUMNS).encode() + b"\n1,2\n", ":2: 2 fields, must be 9"),
        (",".join(COLUMNS).encode() + b'\n"1,2\n', ": not a manifest in UTF-8"),
        (b"a.wav,a.txt\nb.wav\n", ":2: 1 fields, must be 2"),
        (b"wav_filename\twav_filesize\ttranscript\na.wav\tgo\n", ":2: 2 fields, must be 3"),
        (b"\xff\xfe\x00", ": not a manifest in UTF-8"),
        (b"{", ": not a manifest in UTF-8"),
        (b"{" + b'"a":[' * 100_000, ": not a manifest in UTF-8"),
        (b"{}", ": not a manifest of deepspeech.pytorch; it must have root_path and samples"),
        (b'{"root_path": "/r", "samples": [3]}', r": samples\[0\]: must have wav_path"),
        (b'{"root_path": "/r", "samples": [{"wav_path": "a"}]}', r": samples\[0\]: must have wav_path"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        list(read_rows(path))
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@given(st.lists(st.lists(st.text("a,\"' \té", max_size=6), min_size=2, max_size=2), min_size=1))
def test_any_fields_of_a_table_come_back(tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]) -> None:
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["audio", "transcript"], *table])
    assert [list(row.fields.values()) for row in read_rows(path)] == table


@pytest.mark.parametrize(("name", "manifest"), [("a.csv", True), ("A.TSV", True), ("a.json", True), ("csv", False)])
def test_a_manifest_is_told_by_its_name(name: str, manifest: bool) -> None:
    assert is_manifest(Path(name)) is manifest
