"""Archives and folders that somebody made to lose recordings, to fill memory, to wait for ever or to forge a line.

Each is run as the command line runs it, and has to end in its exit status and one line. An input that is read
without a bound, or waited for, does not fail here but by the time limit.
"""

import gzip
import os
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.corpus.librispeech.prepare import prepare_librispeech

Refuse = Callable[[list[str], str], None]
CHAPTER = Path("train-clean-5/19/198")
FLAC, TRANSCRIPTS = CHAPTER / "19-198-0000.flac", CHAPTER / "19-198.trans.txt"


def make_pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def members(source: Path, form: int = tarfile.PAX_FORMAT) -> list[bytes]:
    """Return the header and content of each file of the source, as blocks of a tar archive."""
    blocks = []
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        blocks.append(block(f"LibriSpeech/{path.relative_to(source)}", path.read_bytes(), form))
    return blocks


def block(name: str, content: bytes, form: int = tarfile.PAX_FORMAT, **fields: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info.tobuf(form) + content + bytes(-len(content) % 512)


END = bytes(1024)


def spoil_header(blocks: list[bytes]) -> bytes:
    middle = bytearray(blocks[4])
    middle[0] ^= 1
    return b"".join([*blocks[:4], bytes(middle), *blocks[5:], END])


def with_zeros(count: int) -> Callable[[list[bytes]], bytes]:
    return lambda blocks: b"".join([*blocks[:4], bytes(count), *blocks[4:], END])


def sparse(blocks: list[bytes]) -> bytes:
    """Twelve FLAC files of 256 MB each, all hole: a few hundred bytes each."""
    pieces = []
    for index in range(12):
        size, name = 255 << 20, f"LibriSpeech/{CHAPTER}/19-198-{100 + index:04d}.flac"
        keys = {"major": "1", "minor": "0", "name": name, "realsize": str(size)}
        hole = f"1\n{size}\n0\n".encode().ljust(512, b"\0")
        pax_headers = {f"GNU.sparse.{key}": value for key, value in keys.items()}
        pieces.append(block(name, hole, pax_headers=pax_headers))
    return b"".join([*pieces, *blocks, END])


def old_sparse(blocks: list[bytes]) -> bytes:
    info = tarfile.TarInfo(f"LibriSpeech/{FLAC}")
    info.type = tarfile.GNUTYPE_SPARSE
    return info.tobuf(tarfile.GNU_FORMAT) + b"".join(blocks) + END


def with_member(name: str, content: bytes = b"") -> Callable[[list[bytes]], bytes]:
    return lambda blocks: block(name, content) + b"".join(blocks) + END


def promising(name: str, size: int) -> Callable[[list[bytes]], bytes]:
    """Begin with a header that promises more than memory should hold, without the content."""
    info = tarfile.TarInfo(name)
    info.size = size
    return lambda blocks: info.tobuf(tarfile.GNU_FORMAT) + b"".join(blocks) + END


def twice(blocks: list[bytes]) -> bytes:
    """The chapter's transcripts are there a second time, with a word changed."""
    return block(f"LibriSpeech/{TRANSCRIPTS}", b"19-198-0000 A CHANGED ABBEY\n") + b"".join(blocks) + END


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(spoil_header, "bad header at byte .*bad checksum", id="a damaged header in the middle"),
        pytest.param(lambda blocks: b"".join(blocks[:4]), "truncated, without the zeros", id="cut at a member's end"),
        pytest.param(lambda blocks: b"".join(blocks)[:-300], "truncated", id="cut at a header's middle"),
        pytest.param(
            lambda blocks: b"".join(blocks) + bytes(512), "truncated in the zeros", id="one block of zeros at the end"
        ),
        pytest.param(with_zeros(512), "has data after the zeros", id="one block of zeros within"),
        pytest.param(with_zeros(1024), "has data after the zeros", id="two blocks of zeros within"),
        pytest.param(with_zeros(1 << 20), "has data after the zeros", id="many blocks of zeros within"),
        pytest.param(lambda blocks: 2 * (b"".join(blocks) + END), "has data after the zeros", id="two archives in one"),
        pytest.param(
            lambda blocks: b"".join(blocks) + END + b"x", "has data after the zeros", id="something after the end"
        ),
        pytest.param(lambda _: END, "no recordings", id="zeros alone"),
        pytest.param(sparse, "neither a file nor a folder", id="sparse pax members"),
        pytest.param(old_sparse, "neither a file nor a folder", id="a sparse GNU member"),
        pytest.param(promising(f"LibriSpeech/{FLAC}", 200 << 20), "or is too large", id="a FLAC file of 200 MB"),
        pytest.param(promising(f"LibriSpeech/{TRANSCRIPTS}", 20 << 20), "or is too large", id="transcripts of 20 MB"),
        pytest.param(
            with_member(f"LibriSpeech/train-x/1/2/1-2-{81 * '0'}.flac"), "at most 80 bytes", id="an id of 85 bytes"
        ),
        pytest.param(
            with_member("LibriSpeech/train-x/\x1b[2J/2/\x1b[2J-2-1.flac"), "printable", id="an escape in a speaker"
        ),
        pytest.param(
            with_member("LibriSpeech/train-\x1b[2J/1/2/1-2-1.flac"), "subset folders", id="an escape in a subset"
        ),
        pytest.param(
            with_member("LibriSpeech/train-x/\udcff/2/\udcff-2-1.flac"), "printable", id="bytes that are no text"
        ),
        pytest.param(
            with_member("/x\nDataset Checksum Passed.\x1b[1A"),
            r"\\nDataset .*\\x1b\[1A",
            id="a name that forges a line",
        ),
        pytest.param(with_member("/" + 900_000 * "x"), "points outside the archive", id="a name of a megabyte"),
        pytest.param(
            twice, r"19-198-0000 has a different transcript in .*trans\.txt:1", id="a second, different transcript"
        ),
    ],
)
def test_a_hostile_archive(
    source: Path, tmp_path: Path, refuse: Refuse, make: Callable[..., Any], message: str
) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(make(members(source)), 1))
    refuse(["prepare", str(archive), "--data-dir", str(tmp_path / "out")], message)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["LibriSpeech", "a.tar.gz"]


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_the_same_archive_unharmed(source: Path, tmp_path: Path, form: int) -> None:
    archive = tmp_path / "a.tar.gz"
    archive.write_bytes(gzip.compress(b"".join(members(source, form)) + END))
    assert prepare_librispeech(archive, tmp_path / "out").train.utterances == 2


def link_loop(source: Path) -> None:
    (source / CHAPTER / "up").symlink_to(source / "train-clean-5")


def link_to_nothing(source: Path) -> None:
    (source / "train-clean-5" / "20").symlink_to(source / "gone")


def subset_to_nothing(source: Path) -> None:
    (source / "dev-other").symlink_to(source / "gone")


def link_twice(source: Path) -> None:
    (source / "train-clean-5" / "20").symlink_to(source / "train-clean-5" / "19")


def transcripts_in_two_subsets(source: Path) -> None:
    other = source / "train-other-500" / "19" / "198"
    other.mkdir(parents=True)
    (source / FLAC).rename(other / FLAC.name)
    (other / TRANSCRIPTS.name).write_text("19-198-0000 A CHANGED ABBEY\n")


def rename_chapter(speaker: str) -> Callable[[Path], None]:
    def rename(source: Path) -> None:
        place = source / "train-clean-5" / speaker / "1"
        place.mkdir(parents=True)
        (source / FLAC).rename(place / f"{speaker}-1-0000.flac")

    return rename


def large_flac(source: Path) -> None:
    with (source / FLAC).open("ab") as file:
        file.truncate(300 << 20)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(link_loop, "198/up: a link to .*, which is read already", id="a link that leads back"),
        pytest.param(link_to_nothing, "5/20: a broken link", id="a speaker's link to nothing"),
        pytest.param(subset_to_nothing, "dev-other: a broken link", id="a subset's link to nothing"),
        pytest.param(link_twice, "5/20: a link to .*5/19, which is read already", id="one speaker twice"),
        pytest.param(transcripts_in_two_subsets, "different transcript in .*/19-198.trans.txt:1", id="two transcripts"),
        pytest.param(rename_chapter(78 * "1"), "at most 80 bytes", id="an id of 85 bytes"),
        pytest.param(rename_chapter("1\nerror: x"), "printable", id="an id that forges a line"),
        pytest.param(rename_chapter("\udcff"), "printable", id="an id that is no text"),
        pytest.param(lambda source: make_pipe(source / FLAC), "is not a regular file", id="a pipe"),
        pytest.param(
            lambda source: make_pipe(source / TRANSCRIPTS), "is not a regular file", id="a pipe of transcripts"
        ),
        pytest.param(large_flac, "has over", id="a FLAC file of 300 MB"),
    ],
)
def test_a_hostile_folder(source: Path, tmp_path: Path, refuse: Refuse, make: Callable[..., Any], message: str) -> None:
    make(source)
    refuse(["prepare", str(source), "--data-dir", str(tmp_path / "out")], message)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_linked_folders_are_read(source: Path, tmp_path: Path, depth: int) -> None:
    folder = source / Path(*CHAPTER.parts[:depth])
    folder.rename(tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert prepare_librispeech(source, tmp_path / "out").train.utterances == 2


@pytest.mark.parametrize("name", ["pipe.tar.gz", "folder.tar.gz"])
def test_no_archive_but_its_name(source: Path, tmp_path: Path, refuse: Refuse, name: str) -> None:
    """Beside an archive: a folder of archives may hold anything."""
    place = tmp_path / "archives"
    place.mkdir()
    make_pipe(place / name) if name.startswith("pipe") else (place / name).mkdir()
    refuse(["prepare", str(place), "--data-dir", str(tmp_path / "out")], f"{name}: ")
    if name.startswith("pipe"):
        refuse(["prepare", str(place / name), "--data-dir", str(tmp_path / "out")], "not a regular file")


def test_a_data_folder_that_leads_back_to_itself(source: Path, tmp_path: Path, refuse: Refuse) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refuse(["prepare", str(source), "--data-dir", str(tmp_path / "loop")], "a link that points to itself")
    refuse(["verify", "mini", "--data-dir", "x", "--tar", str(tmp_path / "loop")], "points to itself")


@pytest.fixture
def make_deep() -> Iterator[Callable[[Path], None]]:
    """Makes folders in one another, deeper than functions of Python call themselves; so does pytest, to remove them."""
    made: list[str] = []

    def make(folder: Path) -> None:
        made.append(f"{folder}/d")
        os.mkdir(made[-1])
        for _ in range(1200):
            made.append(f"{made[-1]}/d")
            os.mkdir(made[-1])

    yield make
    for each in reversed(made):
        os.rmdir(each)


def test_folders_too_deep_to_look_into(
    source: Path, tmp_path: Path, refuse: Refuse, make_deep: Callable[[Path], None]
) -> None:
    prepare_librispeech(source, tmp_path / "out")
    make_deep(tmp_path / "out")
    refuse(
        ["prepare", str(source), "--data-dir", str(tmp_path / "out"), "--overwrite"],
        "out: cannot be searched .folders too deep",
    )
    make_deep(source / CHAPTER)
    refuse(["prepare", str(source), "--data-dir", str(tmp_path / "new")], "train-clean-5: folders nested too deep")
