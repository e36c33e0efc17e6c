"""Tests of the command `transcribe`, with a recognizer of tones in place of a trained model."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from speech_recognition.cli import _parser, main
from speech_recognition.commands import transcription
from speech_recognition.inference import formats
from speech_recognition.inference.transcription import Transcriber
from tests.conftest import tones
from tests.unit.inference.conftest import ToneReader


@pytest.fixture(autouse=True)
def model(monkeypatch: pytest.MonkeyPatch) -> ToneReader:
    """Load a recognizer of tones, whatever the file of the model is."""
    reader = ToneReader()
    monkeypatch.setattr(transcription, "load_model", lambda path, options: reader)
    return reader


@pytest.fixture
def talks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder; talks/ has two recordings, one with a transcript beside it."""
    (tmp_path / "talks").mkdir()
    for name, text in (("a", "BACK AGO"), ("b", "BIG FACE")):
        soundfile.write(tmp_path / "talks" / f"{name}.wav", tones(text), 16_000)
    (tmp_path / "talks" / "b.txt").write_text("big cake")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def transcribe(*arguments: str) -> int:
    return main(["transcribe", "best.pt", *arguments])


def test_one_recording_is_its_text_and_several_are_lines_with_names(talks: Path, capsys: Any) -> None:
    assert transcribe("talks/a.wav") == 0
    assert capsys.readouterr().out == "BACK AGO\n"
    assert transcribe("talks/b.wav", "talks/a.wav") == 0
    assert capsys.readouterr().out == "talks/b.wav\tBIG FACE\ntalks/a.wav\tBACK AGO\n"


def test_the_totals_have_the_speed_and_the_wer_against_transcripts(talks: Path, capsys: Any) -> None:
    assert transcribe("talks") == 0
    said = capsys.readouterr().err
    assert "2 recordings, 1.6 s of audio in " in said and " times real time\n" in said
    assert "against the transcripts beside them: WER 50.00" in said and "2 words of 1 utterances" in said


def test_a_missing_file_does_not_end_the_batch(talks: Path, capsys: Any) -> None:
    assert transcribe("typo.wav", "talks/a.wav") == 1
    out, err = capsys.readouterr()
    assert out == "talks/a.wav\tBACK AGO\n"
    assert "error: typo.wav: no such file; correct the name\n" in err


def test_quiet_leaves_results_and_errors(talks: Path, capsys: Any) -> None:
    (talks / "talks" / "c.wav").write_bytes(b"no recording")
    assert transcribe("talks", "--quiet") == 1
    out, err = capsys.readouterr()
    assert out == "talks/a.wav\tBACK AGO\ntalks/b.wav\tBIG FACE\n"
    assert err.startswith("error: talks/c.wav: not a recording") and err.count("\n") == 1


def test_several_formats_are_written_to_a_folder(talks: Path, capsys: Any) -> None:
    assert transcribe("talks", "--format", "json,srt,txt", "--output-dir", "out/deep") == 0
    assert capsys.readouterr().out == ""
    names = sorted(path.name for path in (talks / "out" / "deep").iterdir())
    assert names == ["a.json", "a.srt", "a.txt", "b.json", "b.srt", "b.txt"]
    assert json.loads((talks / "out" / "deep" / "b.json").read_text())["word_errors"] == 1


def test_the_likeliest_texts_stand_in_the_json_file(talks: Path, capsys: Any) -> None:
    assert transcribe("talks/a.wav", "--beam", "20", "--nbest", "3", "--format", "json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["text"] == content["alternatives"][0]["text"] == "BACK AGO"
    texts = [each["text"] for each in content["alternatives"]]
    scores = [each["score"] for each in content["alternatives"]]
    assert len(set(texts)) == 3 and scores == sorted(scores, reverse=True)
    assert transcribe("talks/a.wav", "--beam", "20", "--format", "json") == 0
    assert "alternatives" not in json.loads(capsys.readouterr().out)


def test_skip_existing_transcribes_what_is_missing(talks: Path, model: ToneReader) -> None:
    (talks / "out").mkdir()
    (talks / "out" / "a.txt").write_text("OLD\n")
    options = ("talks", "--output-dir", "out", "--skip-existing")
    assert transcribe(*options) == 0
    assert (talks / "out" / "a.txt").read_text() == "OLD\n" and (talks / "out" / "b.txt").read_text() == "BIG FACE\n"
    assert transcribe(*options) == 0 and len(model.batches) == 1


def test_one_recording_in_any_format_goes_to_standard_output(talks: Path, capsys: Any) -> None:
    assert transcribe("talks/a.wav", "--format", "ctm") == 0
    assert [line.split()[4] for line in capsys.readouterr().out.splitlines()] == ["BACK", "AGO"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["talks", "--format", "json"], "--format json: several files result; add --output-dir"),
        (["talks/a.wav", "--format", "json,txt"], "--format json,txt: several files result"),
        (["talks", "--format", "pdf"], "pdf: must be one of txt, json, srt, vtt, ctm, tsv"),
        (["talks", "--skip-existing"], "--skip-existing: without --output-dir there are no files"),
        (["talks", "--output-dir", "talks"], "talks/b.txt: would be overwritten"),
        (["talks/x.wav"], "talks/x.wav: no such file"),
        (["talks", "--long-seconds", "-1"], "--long-seconds -1.0: must be at least 0"),
        (["talks", "--long-seconds", "nan"], "--long-seconds nan: must be at least 0"),
        (["talks", "--margin", "0.2"], "--margin 0.2: must be from 0 to 0.15"),
        (["talks", "--margin", "nan"], "--margin nan: must be from 0 to 0.15"),
        (["talks/a.wav", "--nbest", "3", "--format", "json"], "--nbest: lists what a beam search finds in a JSON file"),
        (["talks/a.wav", "--nbest", "3", "--beam", "9"], "--nbest: lists what a beam search finds in a JSON file"),
        (["talks/a.wav", "--nbest", "0"], "argument --nbest: 0: must be a whole number from 1 to 1000"),
        (["-", "--live", "--nbest", "3"], "--live: prints the greedy text"),
        (["-", "--live", "--skip-existing"], "--live: prints the greedy text"),
        (["talks", "--live"], "--live: reads standard input; give - as the only recording"),
        (["-", "--live", "--lm", "x.arpa"], "--live: prints the greedy text"),
        (["-", "--live", "--beta", "0"], "--live: prints the greedy text"),
        (["-", "--live"], "--live: the model in best.pt hears a recording in both directions"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(talks: Path, capsys: Any, arguments: list[str], message: str) -> None:
    assert transcribe(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == "" and message in err and err.count("\n") == 1


def stdin(content: bytes) -> Any:
    return SimpleNamespace(isatty=lambda: False, buffer=io.BytesIO(content))


def test_standard_input_is_a_recording(talks: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = (talks / "talks" / "a.wav").read_bytes()
    monkeypatch.setattr(sys, "stdin", stdin(content))
    assert transcribe("-") == 0
    assert capsys.readouterr().out == "BACK AGO\n"
    monkeypatch.setattr(sys, "stdin", stdin(content[:9000]))
    assert transcribe("-") == 1
    assert "error: -: truncated, " in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--margin", "nan"], ["--margin", "5"], ["--long-seconds", "-3"]])
def test_live_too_refuses_seconds_out_of_range(capsys: Any, words: list[str]) -> None:
    assert main(["transcribe", "model.pt", "-", "--live", *words]) == 2
    assert f"error: {words[0]} " in capsys.readouterr().err


def test_live_text_is_printed_as_it_comes(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from speech_recognition.inference import live, streaming

    monkeypatch.setattr(streaming, "can_stream", lambda recognizer: True)
    monkeypatch.setattr(live, "live_text", lambda recognizer, blocks: [f"{sum(map(len, blocks))} SAMPLES", "\n"])
    monkeypatch.setattr(sys, "stdin", stdin(np.zeros(5000, np.int16).tobytes()))
    assert transcribe("-", "--live") == 0
    assert capsys.readouterr().out == "5000 SAMPLES\n"


def test_the_defaults_for_long_recordings_are_the_transcribers() -> None:
    options = _parser().parse_args(["transcribe", "best.pt", "a.wav"])
    stated = (options.long_seconds, options.margin, options.long)
    assert stated == (Transcriber.long_seconds, Transcriber.margin, Transcriber.long)


def test_the_names_of_the_formats_are_those_that_exist() -> None:
    assert tuple(formats.FORMATS) == transcription.FORMATS
