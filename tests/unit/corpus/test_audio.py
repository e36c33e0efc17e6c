"""Tests of reading and writing recordings, and of the damages that are refused."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_recognition.corpus.audio import WAV_HEADER_BYTES, decode_flac, parse_flac_header, read_pcm, write_wav
from speech_recognition.errors import InputError

SAMPLES = np.random.default_rng(7).integers(-20_000, 20_000, 5000).astype(np.int16)


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    write_wav(tmp_path / "a.wav", SAMPLES)
    return tmp_path / "a.wav"


@pytest.fixture
def flac(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "a.flac", SAMPLES, 16_000, subtype="PCM_16")
    return tmp_path / "a.flac"


def test_a_wav_comes_back_as_it_was_written(wav: Path) -> None:
    samples = read_pcm(wav, expected_samples=5000)
    np.testing.assert_array_equal(samples, SAMPLES)
    assert samples.dtype == np.int16
    # A read-only array makes torch warn.
    assert samples.flags.writeable
    assert wav.read_bytes()[WAV_HEADER_BYTES:] == SAMPLES.astype("<i2").tobytes()
    np.testing.assert_array_equal(soundfile.read(wav, dtype="int16")[0], SAMPLES)


def test_a_wav_of_another_program_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "b.wav", SAMPLES, 16_000, subtype="PCM_16")
    np.testing.assert_array_equal(read_pcm(tmp_path / "b.wav"), SAMPLES)


def test_a_flac_comes_back_as_it_was_written(flac: Path) -> None:
    np.testing.assert_array_equal(decode_flac(flac.read_bytes(), str(flac)), SAMPLES)
    header = parse_flac_header(flac.read_bytes(), str(flac))
    assert (header.samples, header.rate, header.channels, header.bits) == (5000, 16_000, 1, 16)
    assert header.md5 == hashlib.md5(SAMPLES.astype("<i2").tobytes()).digest()


def stereo(path: Path) -> None:
    soundfile.write(path, np.stack([SAMPLES, SAMPLES], axis=1), 16_000, subtype="PCM_16")


def other_rate(path: Path) -> None:
    soundfile.write(path, SAMPLES, 22_050, subtype="PCM_16")


def other_width(path: Path) -> None:
    soundfile.write(path, SAMPLES, 16_000, subtype="PCM_24")


def text(path: Path) -> None:
    path.write_text("hello " * 100)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (stereo, "2 channels"),
        (other_rate, "22050 Hz, must be 16000 Hz"),
        (other_width, "24 bits"),
        (text, "not a PCM WAV"),
        (empty, "not a PCM WAV"),
        (Path.unlink, "cannot be read"),
        (folder, "cannot be read"),
    ],
)
def test_a_bad_wav_is_refused_by_name(wav: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(wav)
    with pytest.raises(InputError, match=message) as caught:
        read_pcm(wav)
    assert str(caught.value).startswith(f"{wav}: ")


@pytest.mark.parametrize("kept", [20, 44, 45, 100, 10_043])
def test_a_truncated_wav_is_refused(wav: Path, kept: int) -> None:
    wav.write_bytes(wav.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"truncated|not a PCM WAV"):
        read_pcm(wav)


def test_an_empty_wav_is_refused(wav: Path) -> None:
    write_wav(wav, SAMPLES[:0])
    with pytest.raises(InputError, match="no samples"):
        read_pcm(wav)


def test_a_wav_of_another_length_than_the_manifest_says_is_refused(wav: Path) -> None:
    with pytest.raises(InputError, match="5000 samples, the manifest says 4999"):
        read_pcm(wav, expected_samples=4999)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (stereo, "2 channels"),
        (other_rate, "22050 Hz, must be 16000 Hz"),
        (other_width, "24 bits"),
        (text, "not a FLAC file"),
        (empty, "not a FLAC file"),
        (lambda path: soundfile.write(path, SAMPLES, 16_000, format="WAV"), "not a FLAC file"),
    ],
)
def test_a_bad_flac_is_refused_by_name(flac: Path, spoil: Callable[[Path], object], message: str) -> None:
    spoil(flac)
    with pytest.raises(InputError, match=message) as caught:
        decode_flac(flac.read_bytes(), str(flac))
    assert str(caught.value).startswith(f"{flac}: ")


@pytest.mark.parametrize("kept", [30, 42, 60, 100, 4000, -1])
def test_a_truncated_flac_is_refused(flac: Path, kept: int) -> None:
    flac.write_bytes(flac.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"truncated|not a FLAC"):
        decode_flac(flac.read_bytes(), str(flac))


def test_a_flac_with_fewer_samples_than_its_header_says_is_refused(flac: Path) -> None:
    content = bytearray(flac.read_bytes())
    content[25] += 1
    flac.write_bytes(content)
    with pytest.raises(InputError, match="truncated"):
        decode_flac(flac.read_bytes(), str(flac))


def test_a_flac_that_decodes_to_other_samples_is_refused(flac: Path) -> None:
    content = bytearray(flac.read_bytes())
    content[30] ^= 1
    flac.write_bytes(content)
    with pytest.raises(InputError, match="damaged, its samples do not match the MD5"):
        decode_flac(flac.read_bytes(), str(flac))


@pytest.mark.parametrize("promised", [0, 2**36 - 1, 3601 * 16_000])
def test_a_flac_of_unknown_or_unlikely_length_is_refused(flac: Path, promised: int) -> None:
    content = bytearray(flac.read_bytes())
    packed = int.from_bytes(content[18:26], "big") >> 36 << 36 | promised
    content[18:26] = packed.to_bytes(8, "big")
    flac.write_bytes(content)
    with pytest.raises(InputError, match=f"its header says {promised} samples"):
        decode_flac(flac.read_bytes(), str(flac))


def test_a_flac_without_an_md5_is_read(flac: Path) -> None:
    content = bytearray(flac.read_bytes())
    content[26:42] = bytes(16)
    flac.write_bytes(content)
    np.testing.assert_array_equal(decode_flac(flac.read_bytes(), str(flac)), SAMPLES)
