"""Tests of the transcription of many recordings, by a recognizer of tones that makes no errors."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

import params
from speech_recognition.decoding.greedy import greedy
from speech_recognition.inference.inputs import Input, find_inputs
from speech_recognition.inference.segments import Window
from speech_recognition.inference.transcript import Transcript
from speech_recognition.inference.transcription import Failure, Transcriber, header_seconds, stitched
from speech_recognition.recognizer import new_recognizer


@pytest.fixture(scope="session")
def tones() -> Any:
    """Return the function of tests/conftest.py that makes the audio of a text."""
    from tests.conftest import tones

    return tones


def write(path: Path, samples: np.ndarray) -> Path:
    soundfile.write(path, samples.astype(np.int16), 16_000)
    return path


def texts(results: list[Transcript | Failure]) -> list[str]:
    return [each.text if isinstance(each, Transcript) else f"failed: {each.message}" for each in results]


@pytest.fixture
def spoken(tmp_path: Path, tones: Any) -> Path:
    """Return a folder of short recordings of different lengths, one of them damaged."""
    for name, text in (("a", "BACK AGO"), ("b", "B"), ("d", "BIG FACE")):
        write(tmp_path / f"{name}.wav", tones(text))
    whole = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "c.wav").write_bytes(whole[: len(whole) // 2])
    return tmp_path


def test_results_come_in_the_order_of_the_inputs_and_batches_by_length(spoken: Path, tone_reader: Any) -> None:
    done: list[float] = []
    results = [*Transcriber(recognizer=tone_reader).transcribe(find_inputs([str(spoken)]), done.append)]
    assert texts(results)[:2] == ["BACK AGO", "B"] and texts(results)[3] == "BIG FACE"
    assert tone_reader.batches == [[1600, 12_800, 12_800]]
    assert sum(done) == pytest.approx(27_200 / 16_000)


def test_a_damaged_recording_is_named_and_the_others_go_on(spoken: Path, tone_reader: Any) -> None:
    copied = Input(name="-", path=spoken / "c.wav", stem=Path("x"), reference=None)
    (failure,) = Transcriber(recognizer=tone_reader).transcribe([copied])
    assert isinstance(failure, Failure) and failure.message.startswith("-: truncated, ")
    assert header_seconds(copied) == 0 and header_seconds(find_inputs([str(spoken / "b.wav")])[0]) == 0.1


def test_words_have_times_in_the_recording(spoken: Path, tone_reader: Any) -> None:
    (result,) = Transcriber(recognizer=tone_reader).transcribe(find_inputs([str(spoken / "a.wav")]))
    assert isinstance(result, Transcript) and result.seconds == 0.8
    # AGO is spoken from 0.5 s to 0.78 s; nothing tells the lag of a recording that begins with speech.
    assert [(each.word, each.start) for each in result.words] == [("BACK", 0.0), ("AGO", 0.4)]
    assert result.confidence > 0.5


def test_batches_are_limited_in_seconds(tmp_path: Path, tone_reader: Any) -> None:
    for index in range(5):
        write(tmp_path / f"{index}.wav", np.zeros(30 * 16_000))
    assert len([*Transcriber(recognizer=tone_reader).transcribe(find_inputs([str(tmp_path)]))]) == 5
    assert [len(batch) for batch in tone_reader.batches] == [4, 1]


def test_a_long_recording_is_cut_at_pauses_and_trimmed_to_speech(tmp_path: Path, tones: Any, tone_reader: Any) -> None:
    silence, parts = np.zeros(16_000), [tones("BACK AGO"), tones("BIG FACE")]
    path = write(tmp_path / "a.wav", np.concatenate([silence, parts[0], silence, parts[1], silence]))
    done: list[float] = []
    transcriber = Transcriber(recognizer=tone_reader, long_seconds=3)
    (result,) = transcriber.transcribe(find_inputs([str(path)]), done.append)
    assert isinstance(result, Transcript) and result.text == "BACK AGO BIG FACE"
    assert [each.start for each in result.words] == pytest.approx([0.975, 1.475, 2.775, 3.175], abs=0.011)
    (lengths,) = tone_reader.batches
    assert all(0.8 * 16_000 < length < 1.2 * 16_000 for length in lengths)
    assert sum(done) == pytest.approx(result.seconds) == pytest.approx(4.6)


def test_a_pause_separates_words_for_a_model_that_writes_no_space(tmp_path: Path, tones: Any, tone_reader: Any) -> None:
    path = write(tmp_path / "a.wav", np.concatenate([tones("BACK"), np.zeros(5600), tones("AGO")]))
    for margin in (0.0, 0.15):
        (result,) = Transcriber(recognizer=tone_reader, long_seconds=0, margin=margin).transcribe(
            find_inputs([str(path)])
        )
        assert isinstance(result, Transcript) and result.text == "BACK AGO"
    narrow, wide = tone_reader.batches
    # On the inner sides of the words; the recording ends 0.02 s after the second one.
    assert [one - other for one, other in zip(wide, narrow, strict=True)] == [2400, 2400 + 320]


def test_convolutions_without_padding_get_the_silence_that_they_lose(
    tmp_path: Path, tones: Any, tone_reader: Any
) -> None:
    silence = np.zeros(16_000)
    path = write(tmp_path / "a.wav", np.concatenate([silence, tones("BACK"), silence]))
    transcriber = Transcriber(recognizer=tone_reader, long_seconds=0)
    [*transcriber.transcribe(find_inputs([str(path)]))]
    tone_reader.params = params.mlperf_2018()
    [*transcriber.transcribe(find_inputs([str(path)]))]
    (padded,), (bare,) = tone_reader.batches
    assert bare - padded == 2 * 2400


def test_speech_without_pauses_is_joined_without_a_seam(tmp_path: Path, tones: Any, tone_reader: Any) -> None:
    text = " ".join(["BACK AGO BIG FACE"] * 30)
    path = write(tmp_path / "a.wav", tones(text))  # 53.9 s
    (result,) = Transcriber(recognizer=tone_reader).transcribe(find_inputs([str(path)]))
    assert isinstance(result, Transcript) and result.text == text
    assert len(tone_reader.batches[0]) > 1
    assert result.words[-1].start == pytest.approx(53.5 - 0.1, abs=0.021)


def test_silence_has_no_words(tmp_path: Path, tone_reader: Any) -> None:
    path = write(tmp_path / "a.wav", np.zeros(60 * 16_000))
    (result,) = Transcriber(recognizer=tone_reader).transcribe(find_inputs([str(path)]))
    assert isinstance(result, Transcript) and result.text == "" and result.seconds == 60


def test_stitched_windows_are_cut_in_the_middle_of_their_overlap() -> None:
    def output(first: int, frames: int) -> torch.Tensor:
        return torch.arange(first, first + frames)[:, None].float()

    step, overlap = 320, 100
    parts = [
        (Window(320, 320 * 301, False), output(0, 300)),
        (Window(320 * (1 + 300 - overlap), 0, True), output(200, 300)),
        (Window(320 * (1 + 500 - overlap), 0, True), output(400, 50 + 7)),
        (Window(320 * 900, 0, False), output(0, 5)),
    ]
    (start, whole), (other_start, other) = stitched(parts, step)
    assert start == 320 and torch.equal(whole, output(0, 457))
    assert other_start == 320 * 900 and len(other) == 5
    assert [*stitched([], step)] == []


def loud_recognizer() -> Any:
    """Return an untrained unidirectional recognizer whose texts have many letters."""
    mini = params.mini()
    model = dataclasses.replace(mini.model, rnn_units=16, bidirectional=False)
    made = new_recognizer(dataclasses.replace(mini, model=model), 1, torch.device("cpu"))
    made.model.eval()
    with torch.no_grad():
        made.model.linear.weight *= 100
    return made


def test_a_unidirectional_model_carries_its_state_through_a_long_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.random.default_rng(1).integers(-3000, 3000, 20 * 16_000))
    recognizer, inputs = loud_recognizer(), find_inputs([str(path)])
    (whole,) = Transcriber(recognizer=recognizer).transcribe(inputs)
    done: list[float] = []
    (carried,) = Transcriber(recognizer=recognizer, long_seconds=1).transcribe(inputs, done.append)
    assert isinstance(whole, Transcript) and isinstance(carried, Transcript) and len(whole.text) > 10
    assert carried.text == whole.text and len(done) > 1 and sum(done) == pytest.approx(20, abs=0.1)
    assert [each.start for each in carried.words] == [each.start for each in whole.words]


def test_a_decoder_other_than_greedy_reads_parts_between_pauses(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(-3000, 3000, 5 * 16_000)
    path = write(tmp_path / "a.wav", np.concatenate([noise, np.zeros(16_000), noise]))
    lengths: list[int] = []

    def decode(log_probs: torch.Tensor, sizes: torch.Tensor) -> list[str]:
        lengths.extend(sizes.tolist())
        return greedy(log_probs, sizes)

    transcriber = Transcriber(recognizer=loud_recognizer(), decode=decode, long_seconds=1)
    [*transcriber.transcribe(find_inputs([str(path)]))]
    assert len(lengths) == 2
