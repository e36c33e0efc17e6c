"""Archives as other programs write them, read member by member; damaged ones are in test_hostile."""

import io
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from speech_recognition.corpus.librispeech.tar_reader import TarReader
from speech_recognition.errors import InputError

LONG = f"LibriSpeech/{'l' * 120}/é{'n' * 150}.flac"
FILES = {"LibriSpeech/README": b"", "LibriSpeech/a.flac": b"x" * 512, "LibriSpeech/b.flac": b"y" * 700, LONG: b"z"}


def contents(stream: bytes) -> Iterator[tuple[str, bytes]]:
    reader = TarReader(io.BytesIO(stream), "a.tar")
    for entry in reader:
        if entry.is_file:
            yield entry.name, reader.read(entry.size)


def write(form: int, files: dict[str, bytes] = FILES, **options: object) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form, **options) as tar:  # type: ignore[call-overload]
        folder = tarfile.TarInfo("LibriSpeech/")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1.5 if form == tarfile.PAX_FORMAT else 1
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@pytest.mark.parametrize("padding", [0, 512, 10_240, 3 << 20])
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_tarfile_writes_comes_back(form: int, padding: int) -> None:
    assert dict(contents(write(form) + bytes(padding))) == FILES


def test_ustar_and_a_header_for_all_members_come_back() -> None:
    short = {name: content for name, content in FILES.items() if name != LONG} | {f"{'p' * 90}/{'n' * 90}": b"prefix"}
    assert dict(contents(write(tarfile.USTAR_FORMAT, short))) == short
    assert dict(contents(write(tarfile.PAX_FORMAT, pax_headers={"comment": "of a commit"}))) == FILES


def test_the_shortest_end_is_two_blocks() -> None:
    whole = write(tarfile.USTAR_FORMAT, {"a": b"1"})
    blocks = whole[: 3 * 512]
    assert dict(contents(blocks + bytes(1024))) == {"a": b"1"}
    for end in (b"", bytes(511), bytes(512), bytes(1023)):
        with pytest.raises(InputError, match=r"a\.tar: truncated"):
            dict(contents(blocks + end))


def test_content_that_nobody_reads_is_passed_over() -> None:
    names = [entry.name for entry in TarReader(io.BytesIO(write(tarfile.PAX_FORMAT)), "a.tar")]
    assert names == ["LibriSpeech", *FILES]


@pytest.mark.skipif(shutil.which("tar") is None, reason="no tar")
@pytest.mark.parametrize("form", ["gnu", "pax", "v7", "ustar"])
def test_what_the_systems_tar_writes_comes_back(tmp_path: Path, form: str) -> None:
    for name, content in FILES.items():
        if name != LONG:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_bytes(content)
    command = ["tar", f"--format={form}", "-cf", "-", "LibriSpeech"]
    stream = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout
    assert dict(contents(stream)) == {name: content for name, content in FILES.items() if name != LONG}


def pax(*records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """Return a pax header and an empty member."""
    content = b"".join(records)
    header = tarfile.TarInfo("PaxHeaders")
    header.type, header.size = kind, len(content)
    block = header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)
    return block + tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT) + bytes(1024)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (pax(b"9 path=x\n", kind=tarfile.XGLTYPE), "a global pax header sets"),
        (pax(b"0 path=x\n"), "bad pax header"),
        (pax(b"99 path=x\n"), "bad pax header"),
        (pax(b"-9 path=x\n"), "bad pax header"),
        (pax(b"9 path=xx"), "bad pax header"),
        (pax(b"7 pathx\n"), "bad pax header"),
        (pax(b"11 size=-1\n"), "bad pax header"),
        (pax(b"11 size=99\n"), "truncated"),
        (pax(b"1" * 400), "bad pax header"),
        (pax()[:512] + bytes(1024), "ends in the middle of a member"),
        (pax(b"x" * (1 << 20) + b"x"), "a name or pax header of 1048577 bytes"),
    ],
)
def test_a_damaged_extension_is_refused(stream: bytes, message: str) -> None:
    with pytest.raises(InputError, match=f"a.tar: {message}"):
        dict(contents(stream))


def test_a_pax_path_and_size_are_taken() -> None:
    stream = pax(b"9 path=x\n", b"10 size=3\n")
    assert dict(contents(stream[:-1024] + b"abc".ljust(512, b"\0") + bytes(1024))) == {"x": b"abc"}


def test_a_size_below_nothing_is_refused() -> None:
    info = tarfile.TarInfo("a")
    info.size = -512
    with pytest.raises(InputError, match="a member of -512 bytes"):
        dict(contents(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))


def test_a_sparse_member_is_no_file() -> None:
    stream = pax(b"22 GNU.sparse.major=1\n", b"9 path=x\n")
    assert [(entry.name, entry.is_file) for entry in TarReader(io.BytesIO(stream), "")] == [("x", False)]
