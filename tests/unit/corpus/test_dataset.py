"""Tests of the writing of a dataset: what lies in its folder, and which folders it may replace."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from speech_recognition.corpus.audio import read_pcm
from speech_recognition.corpus.counts import Counts, SplitCounts, read_counts
from speech_recognition.corpus.dataset import Recording, add_manifests, check_replaceable, disk_bytes, new_dataset
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.errors import DiskFullError, InputError


def write(folder: Path, dataset: str = "custom", names: tuple[str, ...] = ("long", "b", "a")) -> None:
    """Write a training set of recordings of 400 samples, except for the one called long, which has 800."""
    with new_dataset(folder, dataset, 0) as writer:
        recordings = [Recording(name, "GO ON", 800 if name == "long" else 400, "me", "mine", "train") for name in names]
        for each in recordings:
            writer.write_audio("train", each.id, np.full(each.samples, 7, dtype=np.int16))
        writer.finish(dataset, recordings)


def tree(folder: Path) -> set[str]:
    """Return the paths of all files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_dataset_has_audio_texts_a_manifest_and_counts(tmp_path: Path) -> None:
    write(tmp_path / "new")
    assert tree(tmp_path / "new") == {
        "manifests/counts.json",
        "manifests/train.csv",
        *(f"train/{kind}/{name}.{kind}" for kind in ("wav", "txt") for name in ("a", "b", "long")),
    }
    assert not (tmp_path / "new" / "val").exists()
    nothing = SplitCounts(0, 0.0, 0.0)
    assert read_counts(tmp_path / "new") == Counts("custom", SplitCounts(3, 0.1, 0.05), nothing, nothing)
    first, *_, last = (tmp_path / "new" / "manifests" / "train.csv").read_text().splitlines()[1:]
    assert first.startswith("a,train/wav/a.wav,train/txt/a.txt,GO ON,0.025,400,me,mine,844")
    assert last.startswith("long,")
    assert (tmp_path / "new" / "train" / "txt" / "a.txt").read_bytes() == b"GO ON\n"
    assert read_pcm(tmp_path / "new" / "train" / "wav" / "long.wav", 800).tolist() == [7] * 800


def test_the_estimate_of_disk_space_is_not_below_what_is_used(tmp_path: Path) -> None:
    write(tmp_path / "new")
    used = sum(-(-path.stat().st_size // 4096) * 4096 for path in (tmp_path / "new" / "train").rglob("*.*"))
    assert used <= disk_bytes(3, 1600) < 1.2 * used


def test_a_dataset_of_the_same_option_is_replaced_as_a_whole(tmp_path: Path) -> None:
    write(tmp_path / "new")
    write(tmp_path / "new", names=("c",))
    assert tree(tmp_path / "new") == {
        "manifests/counts.json",
        "manifests/train.csv",
        "train/wav/c.wav",
        "train/txt/c.txt",
    }


def test_a_failure_keeps_the_old_dataset_and_no_part_of_the_new_one(tmp_path: Path) -> None:
    write(tmp_path / "new")
    before = tree(tmp_path)
    with pytest.raises(ZeroDivisionError), new_dataset(tmp_path / "new", "custom", 0) as writer:
        writer.write_audio("train", "c", np.zeros(400, dtype=np.int16))
        raise ZeroDivisionError
    assert tree(tmp_path) == before


def test_too_little_disk_is_found_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"--data-dir .*free disk"), new_dataset(tmp_path / "new", "custom", 10**18):
        raise AssertionError
    assert list(tmp_path.iterdir()) == []


def a_file(folder: Path) -> None:
    """Put a file in the place of the folder."""
    folder.write_text("mine")


def other_files(folder: Path) -> None:
    """Make a folder that holds something else than a dataset."""
    folder.mkdir()
    (folder / "thesis.txt").touch()


def other_option(folder: Path) -> None:
    """Make a dataset of a different option."""
    write(folder, "mini")


def a_note_inside(folder: Path) -> None:
    """Put a file of the user's into a dataset."""
    write(folder)
    (folder / "train" / "wav" / "note.txt").touch()


def a_hidden_link(folder: Path) -> None:
    """Put a link of the user's into a dataset."""
    write(folder)
    (folder / ".elsewhere").symlink_to("/")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (a_file, "not a folder; choose a different path"),
        (other_files, "holds files but no dataset; choose a different folder"),
        (other_option, r"holds the dataset 'mini', not 'custom'; use .*/taken_custom"),
        (a_note_inside, r"note\.txt is not part of the dataset; move it elsewhere first"),
        (a_hidden_link, r"\.elsewhere is not part of the dataset; move it elsewhere first"),
    ],
)
def test_what_is_the_users_is_refused_and_kept(tmp_path: Path, make: Callable[[Path], None], message: str) -> None:
    folder = tmp_path / "taken"
    make(folder)
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises(InputError, match=f"--data-dir {re.escape(str(folder))}: .*{message}"):
        check_replaceable(folder, "custom")
    with pytest.raises(InputError), new_dataset(folder, "custom", 0):
        raise AssertionError
    assert sorted(path for path in tmp_path.rglob("*")) == before


def test_everything_that_this_package_adds_to_a_dataset_may_be_replaced(tmp_path: Path) -> None:
    write(tmp_path / "new")
    for form in ("mlperf", "tensorflow", "deepspeech.pytorch"):
        add_manifests(tmp_path / "new", form)
    (tmp_path / "new" / "checksums").mkdir()
    for name in ("custom.json", "custom.files", "verified.json"):
        (tmp_path / "new" / "checksums" / name).touch()
    check_replaceable(tmp_path / "new", "custom")


@pytest.mark.parametrize("empty", [False, True])
def test_an_absent_or_empty_folder_may_be_filled(tmp_path: Path, empty: bool) -> None:
    if empty:
        (tmp_path / "new").mkdir()
    check_replaceable(tmp_path / "new", "custom")
    write(tmp_path / "new")
    assert read_counts(tmp_path / "new").train.utterances == 3


@pytest.mark.skipif(not os.path.ismount("/proc"), reason="no /proc is mounted")
def test_a_mount_point_is_refused() -> None:
    with pytest.raises(InputError, match="--data-dir /proc: is a mount point"):
        check_replaceable(Path("/proc"), "custom")


@pytest.mark.parametrize("form", ["mlperf", "tensorflow", "deepspeech.pytorch"])
def test_a_second_form_lists_the_same_recordings(tmp_path: Path, form: str) -> None:
    write(tmp_path / "new")
    add_manifests(tmp_path / "new", form)
    manifests = tmp_path / "new" / "manifests"
    (added,) = manifests.glob(f"train.{form}.*")
    assert [each.audio for each in read_manifest(added)] == [
        each.audio for each in read_manifest(manifests / "train.csv")
    ]
