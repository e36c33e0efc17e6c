"""Tests of live transcription: the stream, and when its text is decided."""

import io
import struct
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

import params
from speech_recognition import alphabet
from speech_recognition.errors import InputError
from speech_recognition.features import Features
from speech_recognition.inference import live
from speech_recognition.inference.blocks import Samples
from speech_recognition.inference.live import read_live


def wav(samples: np.ndarray, rate: int = 16_000, subtype: str = "PCM_16", size: int | None = None) -> bytes:
    """Return a WAV file, in whose header `size` replaces the size of the samples."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format="WAV")
    content = file.getvalue()
    return content if size is None else content[:40] + struct.pack("<I", size) + content[44:]


def joined(content: bytes) -> Samples:
    return np.concatenate([*read_live(io.BytesIO(content), "standard input")])


NOISE = np.random.default_rng(1).integers(-3000, 3000, 20_001).astype(np.int16)


@pytest.mark.parametrize("content", [NOISE.tobytes(), wav(NOISE), wav(NOISE, size=0xFFFF_FFFF), NOISE.tobytes() + b"x"])
def test_samples_alone_and_wav_files_are_read_whole(content: bytes) -> None:
    np.testing.assert_array_equal(joined(content), NOISE)


def test_chunks_after_the_samples_are_no_sound() -> None:
    np.testing.assert_array_equal(joined(wav(NOISE) + b"LIST\x04\x00\x00\x00abcd"), NOISE)


def test_blocks_come_as_soon_as_they_are_whole() -> None:
    first = next(read_live(io.BytesIO(NOISE.tobytes()), "standard input"))
    assert len(first) == 3200


def test_stereo_at_a_different_rate_is_mixed_and_resampled() -> None:
    seconds = np.arange(48_000) / 48_000
    tone = np.round(9000 * np.sin(2 * np.pi * 440 * seconds)).astype(np.int16)
    got = joined(wav(np.stack([tone, -tone // 3], axis=1), rate=48_000))
    expected = 3000 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert len(got) == 16_000 and np.abs(got - expected)[100:-100].max() < 3


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(wav(NOISE / 32768, subtype="FLOAT"), id="floats"),
        pytest.param(wav(NOISE)[:30], id="cut in the header"),
        pytest.param(b"RIFF\x00\x00\x00\x00WAVEdata\x04\x00\x00\x00abcd", id="no format"),
        pytest.param(b"RIFF\x00\x00\x00\x00WAVEjunk\xff\xff\xff\x7f" + b"x" * 99, id="a chunk without end"),
    ],
)
def test_a_header_that_cannot_be_followed_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match="standard input: --live reads WAV files of 16-bit samples"):
        joined(content)


@pytest.mark.parametrize("form", ["FLAC", "OGG", "AIFF", "AU", "CAF", "RF64"])
def test_a_file_of_a_different_format_is_not_read_as_samples(form: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, NOISE, 16_000, format=form)
    with pytest.raises(InputError, match="standard input: --live reads WAV files of 16-bit samples"):
        joined(file.getvalue())


def test_nothing_is_one_empty_block() -> None:
    assert [len(block) for block in read_live(io.BytesIO(b""), "standard input")] == [0]


class Scripted:
    """Model that says the given symbols, one for each spectrogram frame, and remembers the frames."""

    def __init__(self, path: str) -> None:
        self._path, self.frames = path, torch.empty(1, 161, 0)

    def push(self, spectrogram: torch.Tensor) -> torch.Tensor:
        begin = self.frames.shape[2]
        self.frames = torch.cat([self.frames, spectrogram], 2)
        ids = [alphabet.SYMBOLS.index(each) for each in self._path[begin : self.frames.shape[2]]]
        return torch.nn.functional.one_hot(torch.tensor(ids, dtype=torch.int64), len(alphabet.SYMBOLS)).float()

    def finish(self) -> torch.Tensor:
        return torch.empty(0, len(alphabet.SYMBOLS))


def said(monkeypatch: pytest.MonkeyPatch, samples: np.ndarray, path: str) -> tuple[list[str], Scripted]:
    """Return the texts that come after each block of 0.2 s, in front of a model that says `path`."""
    model = Scripted(path)
    monkeypatch.setattr(live, "StreamedModel", lambda _: model)
    settings = params.mlperf_2018()  # a frame every 10 ms
    recognizer = SimpleNamespace(params=settings, features=Features(settings.features))
    blocks = np.split(samples, range(3200, len(samples), 3200))
    return [*live.live_text(recognizer, blocks)], model  # type: ignore[arg-type]


def loud(seconds: float) -> np.ndarray:
    return np.random.default_rng(1).integers(-3000, 3000, round(seconds * 16_000)).astype(np.int16)


def quiet(seconds: float) -> np.ndarray:
    return np.random.default_rng(1).integers(-3, 3, round(seconds * 16_000)).astype(np.int16)


def test_text_waits_for_a_second_of_speech_and_is_never_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.concatenate([quiet(1), loud(2), quiet(0.4)])
    texts, model = said(monkeypatch, samples, " A_BB " + "_" * 1000)
    first = next(index for index, text in enumerate(texts) if text)
    assert 9 <= first <= 11 and texts[first] == "AB "
    assert "".join(texts) == "AB \n"
    assert abs(model.frames[:, :, 60:].mean()) < 0.3 and 0.5 < model.frames.std() < 2


def test_a_pause_ends_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.concatenate([quiet(0.4), loud(2), quiet(2), loud(1)])
    texts, _ = said(monkeypatch, samples, "A" + "_" * 460 + " B" + "_" * 1000)
    assert "".join(texts) == "A\nB\n"


def test_less_than_a_second_of_speech_is_read_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, _ = said(monkeypatch, np.concatenate([quiet(0.4), loud(0.6), quiet(0.4)]), "_A_" + "_" * 1000)
    assert "".join(texts) == "A\n" and "".join(texts[:7]) == ""


def test_silence_has_no_text_and_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, model = said(monkeypatch, quiet(30), "_" * 9999)
    assert "".join(texts) == "" and model.frames.shape[2] < 100
