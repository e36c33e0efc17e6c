"""Tests of the comparison of a dataset with its reference."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.corpus.checksum import (
    CATALOG_NAME,
    FileDifference,
    Reference,
    find_reference,
    read_reference,
    verify,
    write_reference,
)
from speech_recognition.corpus.counts import read_counts
from speech_recognition.corpus.librispeech.catalog import Archive, read_catalog
from speech_recognition.corpus.librispeech.prepare import prepare_librispeech
from speech_recognition.corpus.tar_stream import list_files
from speech_recognition.errors import InputError

WAV = "train/wav/19-198-0000.wav"
TEXT = "train/txt/19-198-0000.txt"


def change_a_byte(folder: Path) -> None:
    content = bytearray((folder / WAV).read_bytes())
    content[-1] ^= 1
    (folder / WAV).write_bytes(content)


def change_the_counts(folder: Path) -> None:
    with (folder / "manifests" / "counts.json").open("a") as file:
        file.write("{")


def remove(folder: Path) -> None:
    (folder / TEXT).unlink()


def add(folder: Path) -> None:
    (folder / ".DS_Store").touch()


def rename(folder: Path) -> None:
    (folder / WAV).rename(folder / "train/wav/copy.wav")


def swap_transcripts(folder: Path) -> None:
    other = "train/txt/19-198-0001.txt"
    first, second = (folder / TEXT).read_bytes(), (folder / other).read_bytes()
    (folder / TEXT).write_bytes(second)
    (folder / other).write_bytes(first)


def link_elsewhere(folder: Path) -> None:
    copy = folder.parent / "copy.wav"
    (folder / WAV).rename(copy)
    (folder / WAV).symlink_to(copy)


def link_folder(folder: Path) -> None:
    (folder / "train" / "txt").rename(folder.parent / "txt")
    (folder / "train" / "txt").symlink_to(folder.parent / "txt")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


@pytest.mark.parametrize(
    ("plant", "differences"),
    [
        (lambda _: None, []),
        (change_a_byte, [f"differs: {WAV}"]),
        (change_the_counts, ["differs: manifests/counts.json"]),
        (remove, [f"missing: {TEXT}"]),
        (add, ["extra: .DS_Store"]),
        (rename, [f"missing: {WAV}", "extra: train/wav/copy.wav"]),
        (swap_transcripts, [f"differs: {TEXT}", "differs: train/txt/19-198-0001.txt"]),
        (link_elsewhere, [f"differs: {WAV}"]),
        (link_folder, ["extra: train/txt", f"missing: {TEXT}", "missing: train/txt/19-198-0001.txt"]),
        (pipe, ["extra: pipe"]),
    ],
)
def test_every_difference_is_named(
    dataset: Path, reference: Reference, plant: Callable[[Path], None], differences: list[str]
) -> None:
    plant(dataset)
    assert [str(difference) for difference in verify(dataset, reference)] == differences


def test_a_dataset_made_elsewhere_and_later_is_the_same(source: Path, reference: Reference, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    prepare_librispeech(source, copy, "mini")
    for path in copy.rglob("*"):
        path.chmod(0o700)
        os.utime(path, (10**9, 10**9))
    assert verify(copy, reference) == []


def test_a_missing_or_empty_dataset_is_refused_with_the_command(reference: Reference, tmp_path: Path) -> None:
    folder = tmp_path / "mini_dataset"
    with pytest.raises(InputError, match=r"no such folder.*download_dataset\.sh mini"):
        verify(folder, reference)
    folder.mkdir()
    with pytest.raises(InputError, match=r"empty folder.*download_dataset\.sh mini"):
        verify(folder, reference)


def test_the_reference_comes_back_as_it_was_written(dataset: Path, reference: Reference, tmp_path: Path) -> None:
    assert read_reference(tmp_path / "reference", "mini", "pinned") == reference
    assert len(reference.sums) == 16
    listed = (tmp_path / "reference" / "mini.files").read_text().splitlines()
    assert [line.partition(" ")[2] for line in listed] == list_files(dataset)[0]
    assert {len(line.partition(" ")[0]) for line in listed} == {16}


def test_only_the_option_itself_becomes_its_reference(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds the dataset 'mini', not 'clean'"):
        write_reference(dataset, tmp_path / "reference", "clean")
    assert not (tmp_path / "reference").exists()


def test_a_missing_or_damaged_reference_is_refused(reference: Reference, tmp_path: Path) -> None:
    folder = tmp_path / "reference"
    with pytest.raises(InputError, match=r"clean\.json: reference cannot be read"):
        read_reference(folder, "clean", "")
    lines = (folder / "mini.files").read_text().splitlines(keepends=True)
    (folder / "mini.files").write_text("".join(lines[1:]))
    with pytest.raises(InputError, match=r"mini\.json: does not match mini\.files"):
        read_reference(folder, "mini", "")
    (folder / "mini.json").write_text("{")
    with pytest.raises(InputError, match=r"mini\.json: damaged"):
        read_reference(folder, "mini", "")


def test_a_checksum_that_is_not_that_of_its_list_is_not_passed(dataset: Path, reference: Reference) -> None:
    wrong = dataclasses.replace(reference, sha256="0" * 64)
    with pytest.raises(InputError, match="contradict each other"):
        verify(dataset, wrong)


def test_a_difference_reads_as_kind_and_path() -> None:
    assert str(FileDifference("train/wav/a.wav", "missing")) == "missing: train/wav/a.wav"


def test_the_stream_can_be_kept(dataset: Path, reference: Reference, tmp_path: Path) -> None:
    kept = tmp_path / "dataset.tar"
    assert verify(dataset, reference, kept) == []
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == reference.sha256
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_pinned_reference_comes_before_a_recorded_one(dataset: Path, tmp_path: Path) -> None:
    pinned = tmp_path / "reference_checksums"
    with pytest.raises(InputError, match=r"no checksum of 'mini' is pinned.*download_dataset\.sh mini"):
        find_reference("mini", pinned, dataset)
    archives = catalog(pinned, dataset)
    write_reference(dataset, dataset / "checksums", "mini", archives)
    assert find_reference("mini", pinned, dataset).origin.startswith("recorded at preparation")
    write_reference(dataset, pinned, "mini")
    assert find_reference("mini", pinned, dataset).origin == "pinned in reference_checksums"


def catalog(pinned: Path, dataset: Path, **changes: object) -> list[Archive]:
    """Write a catalog whose option "mini" is one archive with as many utterances as the dataset's training split."""
    counts = read_counts(dataset)
    entry = {"subset": "train-x", "bytes": 1, "md5": "", "sha256": "ab", "hours": 1.0, "speakers": 1, "older_bytes": 2}
    entries = [
        entry | {"subset": subset, "utterances": getattr(counts, split).utterances}
        for subset, split in (("train-x", "train"), ("dev-x", "val"), ("test-x", "test"))
    ]
    entries[0] |= changes
    pinned.mkdir(exist_ok=True)
    options = {"mini": [each["subset"] for each in entries]}
    (pinned / CATALOG_NAME).write_text(json.dumps({"archives": entries, "options": options, "mirrors": []}))
    return list(read_catalog(pinned / CATALOG_NAME).options["mini"])


@pytest.mark.parametrize("change", [{"sha256": "cd"}, {"utterances": 281_241}])
def test_a_record_of_other_archives_or_counts_is_no_reference(
    dataset: Path, tmp_path: Path, change: dict[str, object]
) -> None:
    """A small dataset whose counts.json was edited to name the whole option is not taken for it."""
    pinned = tmp_path / "reference_checksums"
    write_reference(dataset, dataset / "checksums", "mini", catalog(pinned, dataset))
    catalog(pinned, dataset, **change)
    with pytest.raises(InputError, match=r"record of 'mini' does not name the catalog's archives.*download_dataset"):
        find_reference("mini", pinned, dataset)


@pytest.mark.parametrize("forged", ["record", "record and counts"])
def test_a_record_whose_numbers_were_edited_is_no_reference(dataset: Path, tmp_path: Path, forged: str) -> None:
    """A small dataset with the project's own record, whose counts were set to those of the whole option."""
    pinned = tmp_path / "reference_checksums"
    archives = catalog(pinned, dataset, utterances=281_241)
    write_reference(dataset, dataset / "checksums", "mini", archives)
    for path in (dataset / "checksums" / "mini.json", dataset / "manifests" / "counts.json")[: 1 + ("and" in forged)]:
        content = json.loads(path.read_text())
        content.get("counts", content)["train"]["utterances"] = 281_241
        path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="its counts are not theirs"):
        find_reference("mini", pinned, dataset)


def test_a_record_that_names_no_archives_is_no_reference(dataset: Path, tmp_path: Path) -> None:
    catalog(tmp_path / "reference_checksums", dataset)
    write_reference(dataset, dataset / "checksums", "mini")
    with pytest.raises(InputError, match="does not name the catalog's archives"):
        find_reference("mini", tmp_path / "reference_checksums", dataset)


def test_no_dataset_is_said_before_no_reference(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        find_reference("all", tmp_path / "reference_checksums", tmp_path / "gone")
