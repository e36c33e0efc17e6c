"""What may follow the samples of a recording, and what may not."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_recognition.corpus.audio import count_samples, read_pcm, write_wav
from speech_recognition.corpus.chunks import unclaimed_bytes
from speech_recognition.corpus.recordings import check_recording, read_any
from speech_recognition.errors import InputError

SAMPLES = np.arange(1, 1001, dtype=np.int16)


def chunk(name: bytes, content: bytes, order: str = "<") -> bytes:
    return name + struct.pack(f"{order}I", len(content)) + content + bytes(len(content) % 2)


def left(path: Path) -> int:
    with path.open("rb") as file:
        return unclaimed_bytes(file)


@pytest.mark.parametrize(
    "end",
    [
        b"",
        b"\0",
        chunk(b"LIST", b"INFOISFT\x05\0\0\0sox \0\0"),
        chunk(b"LIST", b"INFO") + chunk(b"id3 ", b"x" * 31) + chunk(b"bext", bytes(602)),
        chunk(b"odd ", b"x")[:-1],
    ],
)
def test_chunks_after_the_samples_are_fine(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, SAMPLES)
    path.write_bytes(path.read_bytes() + end)
    assert count_samples(path) == len(SAMPLES)
    np.testing.assert_array_equal(read_pcm(path), SAMPLES)
    np.testing.assert_array_equal(read_any(path), SAMPLES)


@pytest.mark.parametrize("end", [b"\0\0", bytes(512), SAMPLES.tobytes(), chunk(b"LIST", b"INFO") + b"rest"])
def test_samples_that_no_chunk_holds_are_refused(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, SAMPLES)
    path.write_bytes(path.read_bytes() + end)
    for read in (count_samples, read_pcm, read_any):
        with pytest.raises(InputError, match=r"a\.wav: its header promises 1000 samples, after which"):
            read(path)


def test_samples_in_a_second_chunk_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_wav(path, SAMPLES)
    path.write_bytes(path.read_bytes() + chunk(b"data", b"1234"))
    for read in (count_samples, read_pcm):
        with pytest.raises(InputError, match="1000 samples, after which 12 bytes"):
            read(path)
    with pytest.raises(InputError, match="not a recording that libsndfile reads"):
        read_any(path)


FORMS = [
    (suffix, subtype)
    for suffix in ("wav", "aiff", "au", "flac", "ogg", "w64", "rf64", "caf")
    for subtype in ("PCM_16", "PCM_24", "PCM_S8", "PCM_U8", "ULAW", "FLOAT", "VORBIS")
    if soundfile.check_format(suffix, subtype)
]


@pytest.mark.parametrize(("suffix", "subtype"), FORMS)
def test_what_libsndfile_writes_is_whole(tmp_path: Path, suffix: str, subtype: str) -> None:
    """Of an odd number of samples, so that an odd number of bytes is among them."""
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, np.zeros(777), 8000, subtype=subtype, format=suffix.upper())
    assert left(path) == 0


def test_a_byte_after_an_odd_size_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(777), 8000, subtype="PCM_U8")
    content = path.read_bytes()
    content = content[: content.index(b"data") + 8 + 777]
    for end in (chunk(b"LIST", b"INFO"), b"\0" + chunk(b"LIST", b"INFO")):
        path.write_bytes(content + end)
        assert left(path) == 0


def test_other_files_are_not_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for content in (b"", b"RIFF", b"RIFF\0\0\0\0AVI data", b"fLaC" + bytes(50), b"RIFF\0\0\0\0WAVE", b".snd"):
        path.write_bytes(content)
        assert left(path) == 0


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_file_with_a_damaged_page_is_refused(tmp_path: Path, subtype: str) -> None:
    """libsndfile leaves such a page out, and with it a second of the recording."""
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 80_000), 16_000, format="OGG", subtype=subtype)
    assert len(read_any(path)) == 80_000
    content = bytearray(path.read_bytes())
    content[content.rindex(b"OggS") - 100] ^= 1  # in the last page but one
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.ogg: damaged, its page [1-9]\d* fails its checksum; restore it"):
        read_any(path)


def test_an_ogg_page_whose_first_bytes_are_lost_is_damage_and_a_tag_is_none(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 80_000), 16_000)
    content = path.read_bytes()
    for whole in (content + b"TAG" + bytes(125), 2 * content):
        path.write_bytes(whole)
        check_recording(path)
    last = content.rindex(b"OggS")
    path.write_bytes(content[:last] + bytes(4) + content[last + 4 :])
    with pytest.raises(InputError, match=rf"a\.ogg: damaged, its page {content.count(b'OggS')} fails its checksum"):
        check_recording(path)


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_an_ogg_file_with_an_incomplete_page_is_refused(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 40_000), 16_000, format="OGG", subtype=subtype)
    content = path.read_bytes()
    assert left(path) == 0
    path.write_bytes(content + b"TAG" + bytes(125))
    assert left(path) == 0
    for size in (len(content) - 1, 2 * len(content) // 3, content.rindex(b"OggS") + 2, content.rindex(b"OggS") + 27):
        path.write_bytes(content[:size])
        assert left(path) > 0
        with pytest.raises(InputError, match=r"a\.ogg: its header promises \d+ samples, after which \d+ bytes are"):
            read_any(path)
