import csv
import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.corpus.manifest import (
    COLUMNS,
    Counts,
    SplitCounts,
    Utterance,
    by_length,
    read_counts,
    read_manifest,
    write_counts,
    write_manifest,
)
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
            samples=draw(st.integers(1, 10**9)),
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
        ({"utterance_id": "1-2-0003"}, "1-2-0003 is there twice"),
        ({"transcript": ""}, "transcript of utterance 1-2-0004 is empty"),
        ({"transcript": "  "}, "transcript of utterance 1-2-0004 is empty"),
        ({"transcript": "A C4B"}, "'4' in utterance 1-2-0004 is outside the alphabet"),
        ({"transcript": "a cab"}, "'a' in utterance 1-2-0004 is outside the alphabet"),
        ({"audio": "train/wav/gone.wav"}, "train/wav/gone.wav does not exist"),
        ({"audio": ""}, "does not exist"),
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not the header"),
        (b"wav,txt\n", "not the header"),
        (",".join(COLUMNS).encode(), "no utterances"),
        (",".join(COLUMNS).encode() + b"\n1,2\n", "2 fields, must be 9"),
        (",".join(COLUMNS).encode() + b'\n"1,2\n', "not a manifest"),
        (b"\xff\xfe\x00", "not a manifest"),
    ],
)
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)


def test_a_missing_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv: .*No such file"):
        read_manifest(tmp_path / "gone.csv")


split_counts = st.builds(SplitCounts, st.integers(0, 10**9), st.floats(0, 1e9), st.floats(0, 1e5))


@given(st.builds(Counts, names, split_counts, split_counts, split_counts))
def test_counts_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, counts: Counts) -> None:
    folder = tmp_path_factory.mktemp("dataset")
    write_counts(folder, counts)
    assert read_counts(folder) == counts


def test_counts_are_of_all_utterances_and_of_none(dataset: Path) -> None:
    rows = read_manifest(
        write_rows(
            dataset / "manifests" / "train.csv",
            [row(samples="8000"), row(utterance_id="1-2-0004", audio="train/wav/b.wav", samples="24000")],
        )
    )
    assert SplitCounts.of([row.samples for row in rows]) == SplitCounts(utterances=2, seconds=2.0, longest_seconds=1.5)
    assert SplitCounts.of([]) == SplitCounts(0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "command"),
    [("mini_dataset", "sh download_dataset.sh mini"), ("mine", "speech_recognition prepare SOURCE --data-dir")],
)
def test_a_missing_dataset_is_refused_with_the_command_that_makes_it(tmp_path: Path, name: str, command: str) -> None:
    folder = tmp_path / name
    with pytest.raises(InputError, match="no such folder") as caught:
        read_counts(folder)
    assert command in str(caught.value)
    folder.mkdir()
    with pytest.raises(InputError, match="an empty folder"):
        read_counts(folder)
    (folder / "notes.txt").touch()
    with pytest.raises(InputError, match="not a dataset"):
        read_counts(folder)


def test_a_file_where_the_dataset_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mini_dataset").touch()
    with pytest.raises(InputError, match="not a folder"):
        read_counts(tmp_path / "mini_dataset")


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"dataset": 3}', '{"dataset": "x", "train": {}}'])
def test_damaged_counts_are_refused(tmp_path: Path, content: str) -> None:
    write_counts(tmp_path, Counts("custom", *[SplitCounts(0, 0.0, 0.0)] * 3))
    (tmp_path / "manifests" / "counts.json").write_text(content)
    with pytest.raises(InputError, match=r"counts\.json: damaged"):
        read_counts(tmp_path)


def test_a_wrong_type_in_the_counts_is_refused(tmp_path: Path) -> None:
    split = {"utterances": "3", "seconds": 1.0, "longest_seconds": 1.0}
    path = tmp_path / "manifests" / "counts.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"dataset": "x", "train": split, "val": split, "test": split}))
    with pytest.raises(InputError, match="damaged"):
        read_counts(tmp_path)
