"""A verification is remembered until any file of the dataset changes."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.corpus.checksum import Reference
from speech_recognition.corpus.stamp import Verified, read_stamp, verify_and_stamp

WAV = "train/wav/19-198-0000.wav"


def test_what_was_verified_is_remembered(dataset: Path, reference: Reference) -> None:
    assert read_stamp(dataset, reference.sha256) is None
    assert verify_and_stamp(dataset, reference) == []
    assert read_stamp(dataset, reference.sha256) == Verified(dataset="mini", sha256=reference.sha256)
    assert read_stamp(dataset, "0" * 64) is None, "of another reference"
    assert verify_and_stamp(dataset, reference) == [], "the stamp is no part of the dataset"


def same_size_and_time(dataset: Path) -> None:
    """Change a byte and set the file's times back."""
    path = dataset / WAV
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(dataset: Path) -> None:
    path = dataset / WAV
    shutil.copy2(path, dataset / "copy")
    os.replace(dataset / "copy", path)


def damage_the_stamp(dataset: Path) -> None:
    (dataset / "checksums" / "verified.json").write_text("[" * 100_000)


@pytest.mark.parametrize(
    "change",
    [
        same_size_and_time,
        replaced,
        damage_the_stamp,
        lambda dataset: (dataset / "extra").touch(),
        lambda dataset: (dataset / WAV).unlink(),
        lambda dataset: os.mkfifo(dataset / "pipe"),
        lambda dataset: (dataset / "checksums" / "verified.json").write_text("[]"),
    ],
)
def test_any_change_makes_it_void(dataset: Path, reference: Reference, change: Callable[[Path], object]) -> None:
    verify_and_stamp(dataset, reference)
    change(dataset)
    assert read_stamp(dataset, reference.sha256) is None


def test_a_copy_has_to_be_verified_anew(dataset: Path, reference: Reference, tmp_path: Path) -> None:
    verify_and_stamp(dataset, reference)
    shutil.copytree(dataset, tmp_path / "copy", copy_function=shutil.copy2)
    assert read_stamp(tmp_path / "copy", reference.sha256) is None


def test_a_dataset_that_differs_gets_no_stamp(dataset: Path, reference: Reference) -> None:
    (dataset / "extra").touch()
    assert verify_and_stamp(dataset, reference) != []
    assert read_stamp(dataset, reference.sha256) is None
    assert not (dataset / "checksums").exists()


def test_a_folder_that_cannot_be_written_is_verified_without_a_stamp(
    dataset: Path, reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(30, "Read-only file system")

    monkeypatch.setattr("speech_recognition.corpus.stamp.atomic_write", refuse)
    assert verify_and_stamp(dataset, reference) == []
    assert read_stamp(dataset, reference.sha256) is None
