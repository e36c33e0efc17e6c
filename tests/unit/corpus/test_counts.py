"""Tests of counts.json."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import params
from speech_recognition.commands import REFERENCES
from speech_recognition.corpus.checksum import CATALOG_NAME
from speech_recognition.corpus.counts import Counts, SplitCounts, option_of, read_counts, write_counts
from speech_recognition.corpus.librispeech.catalog import read_catalog
from speech_recognition.errors import InputError
from speech_recognition.parameters import Params

split_counts = st.builds(SplitCounts, st.integers(0, 10**9), st.floats(0, 1e9), st.floats(0, 3600))


@given(st.builds(Counts, st.text(max_size=12), split_counts, split_counts, split_counts))
def test_counts_come_back_as_they_were_written(tmp_path_factory: pytest.TempPathFactory, counts: Counts) -> None:
    folder = tmp_path_factory.mktemp("dataset")
    write_counts(folder, counts)
    assert read_counts(folder) == counts


def test_counts_are_of_all_utterances_and_of_none() -> None:
    assert SplitCounts.of([8000, 24000]) == SplitCounts(utterances=2, seconds=2.0, longest_seconds=1.5)
    assert SplitCounts.of([]) == SplitCounts(0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("mini_dataset", "sh download_dataset.sh mini --data-dir"),
        ("small_dataset", "sh download_dataset.sh small --data-dir"),
        ("LibriSpeech_dataset", "sh download_dataset.sh all --data-dir"),
        ("mine", "speech_recognition prepare SOURCE --data-dir"),
    ],
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


@pytest.mark.parametrize("make", params.PRESETS.values(), ids=params.PRESETS)
def test_every_presets_dataset_can_be_downloaded(make: Callable[[], Params]) -> None:
    assert option_of(make().data.dataset) in {*read_catalog(REFERENCES / CATALOG_NAME).options, "mini"}
    assert option_of("mine") is None


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
