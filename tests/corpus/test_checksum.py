import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.corpus.checksum import (
    Difference,
    Reference,
    TarDigest,
    file_digests,
    list_files,
    read_reference,
    tar_digest,
    verify,
    write_reference,
)
from speech_recognition.corpus.librispeech import prepare
from speech_recognition.errors import InputError


@pytest.fixture
def dataset(source: Path, tmp_path: Path) -> Path:
    prepare(source, tmp_path / "dataset", "mini")
    return tmp_path / "dataset"


@pytest.fixture
def reference(dataset: Path, tmp_path: Path) -> Reference:
    return write_reference(dataset, tmp_path / "reference", "mini")


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
    prepare(source, copy, "mini")
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


contents = st.dictionaries(
    st.text("abAB.-_é ", min_size=1, max_size=30).filter(lambda name: name.strip(".")),
    st.binary(max_size=1500),
    min_size=1,
    max_size=5,
)


def fill(folder: Path, files: dict[str, bytes]) -> None:
    (folder / "nested").mkdir()
    for index, (name, content) in enumerate(files.items()):
        place = folder / "nested" if index % 2 else folder
        (place / f"{index}{name}").write_bytes(content)


@given(contents)
def test_the_stream_is_a_tar_file_of_the_folder(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("folder")
    fill(folder, files)
    stream = BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in list_files(folder):
            info = tarfile.TarInfo(name)
            info.size = (folder / name).stat().st_size
            with (folder / name).open("rb") as file:
                tar.addfile(info, file)
    digest = tar_digest(folder)
    assert digest.bytes == len(stream.getvalue())
    assert digest.files == len(files)


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar")
def test_gnu_tar_makes_the_same_stream(dataset: Path) -> None:
    version = subprocess.run(["tar", "--version"], check=True, capture_output=True, text=True).stdout
    if "GNU tar" not in version:
        pytest.skip("tar is not GNU tar")
    command = (
        "find . -type f -printf '%P\\n' | LC_ALL=C sort | tar --format=ustar --owner=0 --group=0"
        " --numeric-owner --mode=0644 --mtime=@0 -T - -cf - | sha256sum"
    )
    output = subprocess.run(["sh", "-c", command], cwd=dataset, check=True, capture_output=True, text=True).stdout
    assert output.split()[0] == tar_digest(dataset).sha256


def test_the_digest_of_a_known_folder_is_pinned(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.txt").write_text("hello\n")
    (tmp_path / "a.txt").write_text("")
    assert tar_digest(tmp_path) == TarDigest(
        "8aef5ea3d1d8a036938a2fbfee23f515752d08602c4710bea88200addf4a06e2", 10_240, 2
    )


def test_a_link_in_the_folder_has_no_tar_digest(dataset: Path) -> None:
    link_elsewhere(dataset)
    with pytest.raises(InputError, match="not a regular file"):
        tar_digest(dataset)


def test_a_name_too_long_for_a_tar_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ("x" * 101)).touch()
    with pytest.raises(InputError, match="does not fit a tar file"):
        tar_digest(tmp_path)


def test_file_digests_do_not_depend_on_the_workers(dataset: Path) -> None:
    assert file_digests(dataset, workers=1) == file_digests(dataset, workers=4)


def test_the_reference_comes_back_as_it_was_written(dataset: Path, reference: Reference, tmp_path: Path) -> None:
    assert read_reference(tmp_path / "reference", "mini") == reference
    assert reference.files == len(reference.digests) == 16
    listed = (tmp_path / "reference" / "mini.files").read_text().splitlines()
    assert [line.partition(" ")[2] for line in listed] == list_files(dataset)
    assert {len(line.partition(" ")[0]) for line in listed} == {16}


def test_only_the_option_itself_becomes_its_reference(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds the dataset 'mini', not 'clean'"):
        write_reference(dataset, tmp_path / "reference", "clean")
    assert not (tmp_path / "reference").exists()


def test_a_missing_or_damaged_reference_is_refused(reference: Reference, tmp_path: Path) -> None:
    folder = tmp_path / "reference"
    with pytest.raises(InputError, match=r"clean\.json: reference cannot be read"):
        read_reference(folder, "clean")
    lines = (folder / "mini.files").read_text().splitlines(keepends=True)
    (folder / "mini.files").write_text("".join(lines[1:]))
    with pytest.raises(InputError, match=r"mini\.files does not belong"):
        read_reference(folder, "mini")
    (folder / "mini.json").write_text("{")
    with pytest.raises(InputError, match=r"mini\.json: damaged"):
        read_reference(folder, "mini")


def test_a_checksum_that_is_not_that_of_its_list_is_not_passed(dataset: Path, reference: Reference) -> None:
    wrong = Reference("mini", "0" * 64, reference.tar_bytes, reference.files, reference.counts, reference.digests)
    with pytest.raises(InputError, match="does not belong to its list"):
        verify(dataset, wrong)


def test_a_difference_reads_as_kind_and_path() -> None:
    assert str(Difference("train/wav/a.wav", "missing")) == "missing: train/wav/a.wav"
