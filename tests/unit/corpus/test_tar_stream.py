"""Tests of the tar stream: its bytes are GNU tar's, and each file counts."""

import hashlib
import os
import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.corpus.tar_stream import NO_REGULAR_FILE, list_files, scan

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
        for name in list_files(folder)[0]:
            info = tarfile.TarInfo(name)
            info.size = (folder / name).stat().st_size
            with (folder / name).open("rb") as file:
                tar.addfile(info, file)
    copy = BytesIO()
    found = scan(folder, copy)
    with tarfile.open(fileobj=BytesIO(copy.getvalue())) as tar:
        assert {info.name: tar.extractfile(info).read() for info in tar} == {  # type: ignore[union-attr]
            name: (folder / name).read_bytes() for name in found.sums
        }
    assert found.bytes == len(stream.getvalue()) == len(copy.getvalue())
    assert found.sha256 == hashlib.sha256(copy.getvalue()).hexdigest()
    assert len(found.sums) == len(files)


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar")
def test_gnu_tar_makes_the_same_stream(dataset: Path) -> None:
    version = subprocess.run(["tar", "--version"], check=True, capture_output=True, text=True).stdout
    if "GNU tar" not in version:
        pytest.skip("tar is not GNU tar")
    command = (
        "find . -path ./checksums -prune -o -type f -printf '%P\\n' | LC_ALL=C sort |"
        " tar --format=ustar --owner=0 --group=0 --numeric-owner --mode=0644 --mtime=@0 -T - -cf - | sha256sum"
    )
    (dataset / "checksums").mkdir()
    (dataset / "checksums" / "mini.json").touch()
    output = subprocess.run(["sh", "-c", command], cwd=dataset, check=True, capture_output=True, text=True).stdout
    assert output.split()[0] == scan(dataset).sha256


def test_the_digest_of_a_known_folder_is_pinned(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c.txt").write_text("hello\n")
    (tmp_path / "a.txt").write_text("")
    found = scan(tmp_path)
    assert found.sha256 == "8aef5ea3d1d8a036938a2fbfee23f515752d08602c4710bea88200addf4a06e2"
    assert (found.bytes, found.sums) == (10_240, {"a.txt": "2d06800538d394c2", "b/c.txt": "99fc819aaba2462a"})


def test_what_is_no_regular_file_is_not_read(dataset: Path) -> None:
    before = scan(dataset)
    os.mkfifo(dataset / "pipe")
    (dataset / "train" / "link").symlink_to("/etc")
    after = scan(dataset)
    assert after.sums == before.sums | {"pipe": NO_REGULAR_FILE, "train/link": NO_REGULAR_FILE}
    assert after.sha256 == before.sha256


def test_the_datasets_own_checksum_is_left_out(dataset: Path) -> None:
    before = scan(dataset)
    (dataset / "checksums").mkdir()
    (dataset / "checksums" / "mini.json").touch()
    assert scan(dataset) == before


def test_many_files_come_in_one_order(tmp_path: Path) -> None:
    for number in range(700):  # more than a batch
        (tmp_path / f"{number * 7919 % 700:03d}").write_text(str(number))
    stream = BytesIO()
    found = scan(tmp_path, stream)
    with tarfile.open(fileobj=BytesIO(stream.getvalue())) as tar:
        assert tar.getnames() == sorted(tar.getnames()) == list(found.sums)


def test_what_the_stream_has_no_room_for_is_listed_and_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    before = scan(tmp_path)
    long, deep = "x" * 101, "d" * 101
    (tmp_path / long).touch()
    (tmp_path / deep).mkdir()
    (tmp_path / deep / "inside").touch()
    with (tmp_path / "large").open("wb") as file:
        file.truncate((1 << 30) + 1)
    after = scan(tmp_path)
    assert after.sums == before.sums | dict.fromkeys((long, deep, "large"), NO_REGULAR_FILE)
    assert (after.sha256, after.bytes) == (before.sha256, before.bytes)
