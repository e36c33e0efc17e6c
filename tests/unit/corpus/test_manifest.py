"""Tests of manifests: what is written is read again, and bad rows are refused by name."""

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.corpus.audio import write_wav
from speech_recognition.corpus.manifest import Utterance, by_length, read_manifest, write_manifest
from speech_recognition.corpus.manifest_forms import COLUMNS
from speech_recognition.errors import InputError

names = st.text("abcXYZ019-_ ,\"'é", min_size=1, max_size=12).filter(lambda name: name.strip(" ."))
transcripts = st.text("ABCXYZ '", min_size=1, max_size=20).filter(str.strip)


@st.composite
def utterances(draw: st.DrawFn) -> list[Utterance]:
    ids = draw(st.lists(names, min_size=1, max_size=6, unique=True))
    return [
        Utterance(
            id=name,
            audio=Path("train/wav") / f"{index}.wav",
            text=Path("train/txt") / f"{name}.txt",
            transcript=draw(transcripts),
            seconds=draw(st.floats(1e-4, 1e5)),
            samples=draw(st.integers(1, 3600 * 16_000)),
            speaker=draw(names),
            subset=draw(names),
            bytes=draw(st.integers(1, 10**12)),
        )
        for index, name in enumerate(ids)
    ]


def placed(each: Utterance, base: Path) -> Utterance:
    return dataclasses.replace(each, audio=base / each.audio, text=base / each.text)


@given(utterances())
def test_a_manifest_comes_back_shortest_first(tmp_path_factory: pytest.TempPathFactory, rows: list[Utterance]) -> None:
    base = tmp_path_factory.mktemp("dataset")
    rows = [placed(row, base) for row in rows]
    for row in rows:
        row.audio.parent.mkdir(parents=True, exist_ok=True)
        row.audio.touch()
    path = base / "manifests" / "train.csv"
    write_manifest(path, rows)
    assert read_manifest(path) == sorted(rows, key=by_length)
    assert str(base) not in path.read_text()


def row(**changes: str) -> dict[str, str]:
    values = ("1-2-0003", "train/wav/a.wav", "train/txt/a.txt", "A CAB", "0.25", "4000", "1", "train-clean-5", "8044")
    return dict(zip(COLUMNS, values, strict=True)) | changes


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "dataset"
    for name in ("a", "b"):
        audio = folder / "train" / "wav" / f"{name}.wav"
        audio.parent.mkdir(parents=True, exist_ok=True)
        audio.touch()
    (folder / "manifests").mkdir()
    return folder


def write_rows(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_part_saved_beside_the_manifest_works(dataset: Path) -> None:
    second = row(utterance_id="1-2-0004", audio="train/wav/b.wav", samples="5000")
    whole = write_rows(dataset / "manifests" / "train.csv", [row(), second])
    part = dataset / "manifests" / "one.csv"
    part.write_text("".join(whole.read_text().splitlines(keepends=True)[:2]))
    assert read_manifest(part) == read_manifest(whole)[:1]


def test_paths_of_a_manifest_elsewhere_are_relative_to_its_folder(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rows(tmp_path / "mine.csv", [row(audio="dataset/train/wav/a.wav")])
    monkeypatch.chdir(tmp_path)
    assert read_manifest(Path("mine.csv"))[0].audio == dataset / "train" / "wav" / "a.wav"


def test_a_manifest_outside_the_dataset_names_recordings_by_absolute_paths(dataset: Path, tmp_path: Path) -> None:
    inside = read_manifest(write_rows(dataset / "manifests" / "train.csv", [row()]))
    write_manifest(tmp_path / "elsewhere" / "part.csv", inside)
    assert read_manifest(tmp_path / "elsewhere" / "part.csv") == inside


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": "many"}, "samples is 'many'"),
        ({"samples": "0"}, "samples is '0'"),
        ({"samples": "-4"}, "samples is '-4'"),
        ({"bytes": "1.5"}, "bytes is '1.5'"),
        ({"seconds": "nan"}, "seconds is 'nan'"),
        ({"seconds": "inf"}, "seconds is 'inf'"),
        ({"seconds": ""}, "seconds is ''"),
        ({"utterance_id": ""}, "utterance_id is empty"),
        ({"utterance_id": "1-2-0003"}, "1-2-0003 appears twice"),
        ({"transcript": ""}, "transcript of utterance 1-2-0004 is empty"),
        ({"transcript": "  "}, "transcript of utterance 1-2-0004 is empty"),
        ({"transcript": "A C4B"}, "'4' in utterance 1-2-0004 is outside the alphabet"),
        ({"transcript": "à cab"}, "'À' in utterance 1-2-0004 is outside the alphabet"),
        ({"audio": "train/wav/gone.wav"}, "train/wav/gone.wav does not exist"),
        ({"audio": ""}, "dataset is not a regular file"),
    ],
)
def test_a_bad_row_is_named_with_its_line(dataset: Path, changes: dict[str, str], message: str) -> None:
    bad = row(utterance_id="1-2-0004") | changes
    path = write_rows(dataset / "manifests" / "train.csv", [row(), bad])
    with pytest.raises(InputError) as caught:
        read_manifest(path)
    assert str(caught.value).startswith(f"{path}:3: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifest_without_utterances_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"train\.csv: no utterances"):
        read_manifest(write_rows(tmp_path / "train.csv", []))


def write_wavs(folder: Path, **samples: int) -> None:
    for name, count in samples.items():
        write_wav(folder / f"{name}.wav", np.zeros(count, np.int16))


def test_what_a_table_does_not_tell_is_found(tmp_path: Path) -> None:
    write_wavs(tmp_path, one=3200, two=1600)
    (tmp_path / "two.txt").write_text("  go\n on\n")
    table = tmp_path / "mine.val.csv"
    table.write_text("audio,text\none.wav,two.txt\ntwo.wav,two.txt\n")
    two, one = read_manifest(table)
    assert (one.id, one.samples, one.seconds, one.bytes) == ("one", 3200, 0.2, 6444)
    assert (two.id, two.transcript, two.text) == ("two", "GO ON", tmp_path / "two.txt")
    assert (two.speaker, two.subset) == ("", "mine")


def test_a_speaker_is_told_by_an_id_of_librispeech_alone(tmp_path: Path) -> None:
    write_wavs(tmp_path, **{"84-121123-0001": 10, "take-7": 20})
    table = tmp_path / "table.csv"
    table.write_text("audio,transcript\n84-121123-0001.wav,go on\ntake-7.wav,go on\n")
    assert [each.speaker for each in read_manifest(table)] == ["84", ""]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("audio,text\none.wav,\n", "path of the text file is empty"),
        ("audio,text\none.wav,gone.txt\n", "text file .*gone.txt cannot be read"),
        ("audio,text\none.wav,one.wav\n", "text file .*one.wav cannot be read"),
        ("audio,transcript\none.wav,A\nfolder/one.wav,B\n", "utterance one appears twice"),
        ("audio,transcript\nempty.wav,A\n", "empty.wav: no samples"),
        ("audio,transcript\nnoise.wav,A\n", "noise.wav: not a PCM WAV file"),
        ("audio,transcript\nfast.wav,A\n", "fast.wav: 44100 Hz, must be 16000 Hz"),
    ],
)
def test_what_cannot_be_found_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "folder").mkdir()
    write_wavs(tmp_path, one=200, empty=0)
    write_wavs(tmp_path / "folder", one=200)
    (tmp_path / "noise.wav").write_bytes(bytes(range(256)))
    (tmp_path / "one.wav").write_bytes((tmp_path / "one.wav").read_bytes() + b"\xff")
    soundfile.write(tmp_path / "fast.wav", np.zeros(100), 44_100)
    table = tmp_path / "table.csv"
    table.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read_manifest(table)
    assert "\n" not in str(caught.value)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: .*No such file"):
        read_manifest(tmp_path / "gone.csv")
