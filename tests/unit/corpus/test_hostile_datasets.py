"""Datasets and references made to stop `verify`, to fill its memory or to forge its verdict."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.cli import main
from speech_recognition.commands import dataset as dataset_command
from speech_recognition.corpus.checksum import write_reference
from speech_recognition.corpus.librispeech.prepare import prepare_librispeech

Refuse = Callable[[list[str], str], None]


def make_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


@pytest.fixture
def dataset(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a dataset that is the pinned reference of mini."""
    prepare_librispeech(source, tmp_path / "data", "mini")
    write_reference(tmp_path / "data", tmp_path / "pinned", "mini")
    monkeypatch.setattr(dataset_command, "REFERENCES", tmp_path / "pinned")
    return tmp_path / "data"


def sparse_file(size: int, name: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with (folder / name).open("wb") as file:
            file.truncate(size)

    return make


def deep_folders(folder: Path) -> None:
    """Make folders in one another, deeper than a path may be long."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        for _ in range(30):
            os.mkdir(200 * "d")
            os.chdir(200 * "d")
        Path("file").touch()
    finally:
        os.chdir(before)


COUNTS = "manifests/counts.json"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(sparse_file((1 << 30) + 1, "large"), "extra: large", id="a file over 1 GiB"),
        pytest.param(
            sparse_file(1 << 40, "train/wav/19-198-0000.wav"), "differs: train/wav/19-198-0000.wav", id="a terabyte"
        ),
        pytest.param(sparse_file(0, 120 * "n"), f"extra: {120 * 'n'}", id="a name of 120 bytes"),
        pytest.param(deep_folders, f"extra: {200 * 'd'}", id="folders deeper than a path"),
        pytest.param(lambda folder: make_pipe(folder / COUNTS), f"differs: {COUNTS}", id="a pipe"),
        pytest.param(
            lambda folder: (folder / COUNTS).write_text(100_000 * "["), f"differs: {COUNTS}", id="counts of great depth"
        ),
        pytest.param(
            sparse_file(0, "x\nDataset Checksum Passed."),
            r"extra: x\nDataset Checksum Passed.",
            id="a name that forges a line",
        ),
        pytest.param(sparse_file(0, "x\x1b[1A"), r"extra: x\x1b[1A", id="a name that moves the cursor"),
        pytest.param(sparse_file(0, "x\udcff"), r"extra: x\udcff", id="a name that is no text"),
    ],
)
def test_a_hostile_dataset(
    dataset: Path, capsys: pytest.CaptureFixture[str], make: Callable[..., Any], message: str
) -> None:
    """A second difference is there too: the first does not stop the list."""
    make(dataset)
    (dataset / "zzz").touch()
    capsys.readouterr()
    assert main(["verify", "mini", "--data-dir", str(dataset)]) == 1
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["WARNING: Dataset Checksum Failed.", message, "extra: zzz"]


def change_reference(**changes: object) -> Callable[[Path], None]:
    def change(pinned: Path) -> None:
        path = pinned / "mini.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda pinned: make_pipe(pinned / "mini.json"), r"mini\.json: not a regular file", id="a pipe"),
        pytest.param(
            lambda pinned: make_pipe(pinned / "mini.files"),
            r"mini\.files: not a regular file",
            id="a list that is a pipe",
        ),
        pytest.param(sparse_file(1 << 40, "mini.json"), r"mini\.json: has over", id="a terabyte"),
        pytest.param(
            lambda pinned: (pinned / "mini.json").write_text(100_000 * "["), "damaged reference", id="great depth"
        ),
        pytest.param(
            change_reference(sha256="0\nDataset Checksum Passed."), "damaged reference", id="a sum that forges a line"
        ),
        pytest.param(change_reference(tar_bytes=10**400), "damaged reference", id="a size without bound"),
        pytest.param(change_reference(tar_bytes=float("inf")), "damaged reference", id="an infinite size"),
        pytest.param(change_reference(tar_bytes="1"), "damaged reference", id="no number"),
    ],
)
def test_a_hostile_reference(
    dataset: Path, tmp_path: Path, refuse: Refuse, make: Callable[..., Any], message: str
) -> None:
    make(tmp_path / "pinned")
    refuse(["verify", "mini", "--data-dir", str(dataset)], message)


def split_of(**numbers: object) -> str:
    split = {"utterances": 1, "seconds": 1.0, "longest_seconds": 1.0}
    return json.dumps({"dataset": "mini", "train": split | numbers, "val": split, "test": split})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(
            lambda path: path.write_text(split_of(utterances=10**400)), "damaged", id="utterances of 400 digits"
        ),
        pytest.param(lambda path: path.write_text(split_of(seconds=10**400)), "damaged", id="seconds of 400 digits"),
        pytest.param(lambda path: path.write_text("1" * 5000), "damaged", id="seconds of 5000 digits"),
        pytest.param(
            lambda path: path.write_text(split_of(seconds=float("nan"))), "damaged", id="no number of seconds"
        ),
        pytest.param(
            lambda path: path.write_text(split_of(longest_seconds=86_400)), "damaged", id="an utterance of a day"
        ),
        pytest.param(lambda path: path.write_text(100_000 * "["), "damaged", id="great depth"),
        pytest.param(lambda path: os.truncate(path, 1 << 40), "has over", id="a terabyte"),
    ],
)
def test_hostile_counts(source: Path, dataset: Path, refuse: Refuse, make: Callable[..., Any], message: str) -> None:
    """`prepare` asks them whether the dataset may be replaced."""
    make(dataset / COUNTS)
    refuse(["prepare", str(source), "--data-dir", str(dataset)], rf"counts\.json: {message}")
