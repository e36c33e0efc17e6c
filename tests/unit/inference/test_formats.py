"""Tests of the formats: what is written, read back by readers written from their specifications."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.inference.captions import captions
from speech_recognition.inference.formats import FORMATS, write, written
from speech_recognition.inference.transcript import Transcript
from speech_recognition.inference.words import Word

ONE = Transcript(
    name="talks/a talk.wav",
    seconds=3661.5,
    text="DON'T GO",
    words=[
        Word(word="DON'T", start=3660.0, end=3660.25, confidence=0.75),
        Word(word="GO", start=3660.3, end=3661.5, confidence=0.25),
    ],
    reference="DON'T GO",
)
NONE = Transcript(name="silence.wav", seconds=1.0, text="", words=[])


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Return transcripts of words that follow each other, to the millisecond."""
    words, at = [], 0
    for text in draw(st.lists(st.text("AB'Z", min_size=1, max_size=50), max_size=30)):
        at += draw(st.integers(0, 4_000))
        end = at + draw(st.integers(0, 3_000))
        words.append(Word(word=text, start=at / 1000, end=end / 1000, confidence=draw(st.integers(0, 100)) / 100))
        at = end
    return Transcript(name="x.wav", seconds=at / 1000, text=" ".join(each.word for each in words), words=words)


def milliseconds(clock: str) -> int:
    hours, minutes, seconds, rest = map(int, re.fullmatch(r"(\d\d+):(\d\d):(\d\d)[.,](\d{3})", clock).groups())  # type: ignore[union-attr]
    assert minutes < 60 and seconds < 60
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + rest


def read_cues(blocks: list[str]) -> list[tuple[int, int, str]]:
    """Return start and end in milliseconds and the text of each block of lines."""
    cues = []
    for block in blocks:
        times, *lines = block.split("\n")
        start, arrow, end = times.split(" ")
        assert arrow == "-->" and lines
        cues.append((milliseconds(start), milliseconds(end), " ".join(lines)))
    return cues


def read_srt(text: str) -> list[tuple[int, int, str]]:
    blocks = [block.split("\n", 1) for block in text.split("\n\n")[:-1]]
    assert [int(number) for number, _ in blocks] == [*range(1, len(blocks) + 1)] and "." not in text
    return read_cues([rest for _, rest in blocks])


def read_vtt(text: str) -> list[tuple[int, int, str]]:
    head, *blocks = text.split("\n\n")[:-1]
    assert head == "WEBVTT" and "," not in text
    return read_cues(blocks)


def read_tsv(text: str) -> list[tuple[int, int, str]]:
    head, *rows = [line.split("\t") for line in text.splitlines()]
    assert head == ["start", "end", "text"]
    return [(int(start), int(end), line) for start, end, line in rows]


@given(transcripts())
def test_subtitles_and_tables_hold_every_caption(transcript: Transcript) -> None:
    expected = [
        (round(1000 * each.start), round(1000 * each.end), " ".join(each.lines)) for each in captions(transcript.words)
    ]
    assert read_srt(FORMATS["srt"](transcript)) == expected
    assert read_vtt(FORMATS["vtt"](transcript)) == expected
    assert read_tsv(FORMATS["tsv"](transcript)) == expected
    assert " ".join(text for _, _, text in expected) == transcript.text
    assert all(start <= end for start, end, _ in expected)
    assert all(one[1] <= other[0] for one, other in pairwise(expected))


@given(transcripts())
def test_ctm_and_json_hold_every_word(transcript: Transcript) -> None:
    rows = [line.split(" ") for line in FORMATS["ctm"](transcript).splitlines()]
    assert all(row[:2] == ["x", "1"] for row in rows)
    words = [(row[4], float(row[2]), float(row[2]) + float(row[3]), float(row[5])) for row in rows]
    expected = [(each.word, each.start, each.end, each.confidence) for each in transcript.words]
    for one, other in zip(words, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    content = json.loads(FORMATS["json"](transcript))
    assert [Word(**each) for each in content["words"]] == transcript.words
    assert content["text"] == FORMATS["txt"](transcript).rstrip("\n") == transcript.text


def test_a_time_after_an_hour_and_the_names_in_a_ctm() -> None:
    assert FORMATS["srt"](ONE) == "1\n01:01:00,000 --> 01:01:01,500\nDON'T GO\n\n"
    assert FORMATS["ctm"](ONE).splitlines()[0] == "a_talk 1 3660.000 0.250 DON'T 0.7500"


def test_json_has_the_confidence_of_all_and_errors_where_a_transcript_is_known() -> None:
    content = json.loads(FORMATS["json"](ONE))
    assert content["audio"] == "talks/a talk.wav" and content["seconds"] == 3661.5
    assert content["confidence"] == 0.5 and content["word_errors"] == 0 and content["reference"] == "DON'T GO"
    assert "wer" not in json.loads(FORMATS["json"](NONE))


def test_a_recording_without_words_is_a_valid_file_of_every_format() -> None:
    assert {name: FORMATS[name](NONE) for name in ("txt", "srt", "vtt", "tsv", "ctm")} == {
        "txt": "\n", "srt": "", "vtt": "WEBVTT\n\n", "tsv": "start\tend\ttext\n", "ctm": "",
    }  # fmt: skip
    assert json.loads(FORMATS["json"](NONE))["confidence"] == 0


def test_files_are_named_after_the_recording_and_written_or_not(tmp_path: Path) -> None:
    stem = tmp_path / "below" / "a.b"
    assert not written(stem, ["txt", "vtt"])
    write(ONE, stem, ["txt"])
    assert (tmp_path / "below" / "a.b.txt").read_text() == "DON'T GO\n" and not written(stem, ["txt", "vtt"])
    write(ONE, stem, ["vtt"])
    assert written(stem, ["txt", "vtt"])
