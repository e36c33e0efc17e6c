"""Tests of reading LibriSpeech from archives and from folders."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.corpus.librispeech.prepare import prepare_librispeech
from speech_recognition.corpus.librispeech.sources import find_files, read_members
from speech_recognition.corpus.tar_stream import scan
from speech_recognition.errors import InputError

CHAPTER = "LibriSpeech/train-clean-5/19/198"


def pack(source: Path, archive: Path, *, order: Callable[[list[Path]], list[Path]] = sorted) -> Path:
    """Write an archive of a folder in LibriSpeech's layout, in any order."""
    with tarfile.open(archive, "w:gz") as tar:
        for path in order([path for path in source.rglob("*") if path.is_file()]):
            tar.add(path, f"LibriSpeech/{path.relative_to(source)}")
    return archive


def pack_one(archive: Path, info: tarfile.TarInfo, content: bytes = b"") -> Path:
    info.size = len(content)
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(info, io.BytesIO(content))
    return archive


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_archives_give_the_same_dataset_as_the_folder(source: Path, tmp_path: Path) -> None:
    prepare_librispeech(source, tmp_path / "folder")
    pack(source, tmp_path / "all.tar.gz")
    prepare_librispeech(tmp_path / "all.tar.gz", tmp_path / "archive")
    assert scan(tmp_path / "archive") == scan(tmp_path / "folder")


def test_the_order_in_the_archives_does_not_matter(source: Path, tmp_path: Path) -> None:
    prepare_librispeech(source, tmp_path / "folder")
    archives = tmp_path / "archives"
    archives.mkdir()
    for number, subset in enumerate(sorted(path.name for path in source.iterdir()), start=1):
        part = tmp_path / "part"
        part.mkdir()
        (source / subset).rename(part / subset)
        pack(part, archives / f"{9 - number}.tar.gz", order=lambda files: sorted(files, reverse=True))
        (part / subset).rename(source / subset)
        part.rmdir()
    prepare_librispeech(archives, tmp_path / "reversed", workers=3)
    assert scan(tmp_path / "reversed") == scan(tmp_path / "folder")


def test_other_files_of_an_archive_are_passed_over(source: Path, tmp_path: Path) -> None:
    (source / "README.TXT").write_text("about")
    archive = pack(source, tmp_path / "all.tar.gz")
    assert {Path(member.name).suffix for member in read_members(archive)} == {".flac", ".txt"}
    assert not [member for member in read_members(archive) if member.name == "README.TXT"]


@pytest.mark.parametrize(
    ("info", "message"),
    [
        (tarfile.TarInfo(f"/{CHAPTER}/19-198-0000.flac"), "points outside the archive"),
        (tarfile.TarInfo(f"LibriSpeech/../{CHAPTER}/19-198-0000.flac"), "points outside the archive"),
        (tarfile.TarInfo("../19-198-0000.flac"), "points outside the archive"),
        (special(f"{CHAPTER}/19-198-0000.flac", tarfile.SYMTYPE, "/etc/passwd"), "neither a file nor a folder"),
        (special(f"{CHAPTER}/19-198-0000.flac", tarfile.LNKTYPE, "19-198-0001.flac"), "neither a file nor a folder"),
        (special(f"{CHAPTER}/19-198-0000.flac", tarfile.CHRTYPE), "neither a file nor a folder"),
        (special(f"{CHAPTER}/19-198-0000.flac", tarfile.FIFOTYPE), "neither a file nor a folder"),
        (tarfile.TarInfo("train-clean-5/19/198/19-198-0000.flac"), "not below LibriSpeech/"),
        (tarfile.TarInfo("LibriSpeech/train-clean-5/19-198-0000.flac"), "does not lie at"),
        (tarfile.TarInfo("LibriSpeech/19-198-0000.flac"), "does not lie at"),
        (tarfile.TarInfo("LibriSpeech/train-clean-5/19/199/19-198-0000.flac"), "does not lie at"),
        (tarfile.TarInfo("LibriSpeech/clean-5/19/198/19-198-0000.flac"), "subset folders are named"),
    ],
)
def test_an_archive_with_a_member_that_does_not_belong_is_refused(
    tmp_path: Path, info: tarfile.TarInfo, message: str
) -> None:
    archive = pack_one(tmp_path / "bad.tar.gz", info)
    with pytest.raises(InputError, match=message) as caught:
        prepare_librispeech(archive, tmp_path / "dataset")
    assert str(caught.value).startswith(f"{archive}: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar.gz"]


def truncate(archive: Path) -> None:
    archive.write_bytes(archive.read_bytes()[:-200])


def truncate_tar(archive: Path) -> None:
    archive.write_bytes(gzip.compress(gzip.decompress(archive.read_bytes())[:3000]))


def flip(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 255
    archive.write_bytes(content)


def overwrite(archive: Path) -> None:
    archive.write_bytes(b"<html>404 Not Found</html>" * 100)


def empty(archive: Path) -> None:
    archive.write_bytes(b"")


@pytest.mark.parametrize("spoil", [truncate, truncate_tar, flip, overwrite, empty])
def test_a_damaged_archive_is_refused_and_nothing_is_left(
    source: Path, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    archive = pack(source, tmp_path / "all.tar.gz")
    spoil(archive)
    with pytest.raises(InputError) as caught:
        prepare_librispeech(archive, tmp_path / "dataset")
    assert str(caught.value).startswith(f"{archive}: ") and "\n" not in str(caught.value)
    assert not (tmp_path / "dataset").exists()


@pytest.mark.parametrize("padding", [0, 5 << 20])
def test_an_archive_whose_own_sum_is_wrong_is_refused(source: Path, tmp_path: Path, padding: int) -> None:
    """Also where the tar file has ended long before."""
    archive = pack(source, tmp_path / "a.tar.gz")
    content = bytearray(gzip.compress(gzip.decompress(archive.read_bytes()) + bytes(padding)))
    content[-8] ^= 1  # the CRC of gzip
    archive.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tar\.gz: CRC check failed"):
        prepare_librispeech(archive, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_pipe_among_the_recordings_is_refused(source: Path, tmp_path: Path) -> None:
    flac = next(source.rglob("*.flac"))
    flac.unlink()
    os.mkfifo(flac)
    with pytest.raises(InputError, match=rf"{flac.name}: is not a regular file"):
        prepare_librispeech(source, tmp_path / "out")


def test_an_archive_without_recordings_is_refused(tmp_path: Path) -> None:
    archive = pack_one(tmp_path / "none.tar.gz", tarfile.TarInfo("LibriSpeech/README.TXT"), b"about")
    with pytest.raises(InputError, match="no recordings"):
        prepare_librispeech(archive, tmp_path / "dataset")


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"notes\.txt: not an archive"):
        find_files(tmp_path / "notes.txt")
