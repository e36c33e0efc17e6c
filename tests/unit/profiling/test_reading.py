"""Recordings are recognised by their content."""

import gzip
from pathlib import Path

import pytest

from speech_recognition.errors import InputError
from speech_recognition.profiling import reading
from speech_recognition.profiling.reading import read_profile

SAMPLES = Path(__file__).parent / "samples"


@pytest.mark.parametrize(("name", "calls"), [("gpu_trace.json", 6), ("nsight_raw.csv", 4), ("nsight_details.csv", 2)])
def test_each_format_is_known_whatever_the_name_and_packed_or_not(tmp_path: Path, name: str, calls: int) -> None:
    assert len(read_profile(SAMPLES / name).calls) == calls
    packed = tmp_path / "recording"
    packed.write_bytes(gzip.compress((SAMPLES / name).read_bytes()))
    assert len(read_profile(packed).calls) == calls


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("notes.txt", b"hello", "neither a trace .* nor a table"),
        ("empty.csv", b"", "neither a trace .* nor a table"),
        ("cut.json.gz", gzip.compress(b"{}" * 100, mtime=0)[:-12], "cannot be unpacked"),
        ("profile.nsys-rep", b"\x00\x01", "open it in Nsight Systems"),
    ],
)
def test_anything_else_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, fault: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: .*{fault}"):
        read_profile(tmp_path / name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"missing\.json: No such file"):
        read_profile(tmp_path / "missing.json")


def test_a_small_file_cannot_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_LARGEST", 10_000)
    (tmp_path / "bomb.json.gz").write_bytes(gzip.compress(b"{" * 10_001))
    with pytest.raises(InputError, match="unpacks to over 10000 bytes; record fewer steps"):
        read_profile(tmp_path / "bomb.json.gz")
