"""The formats in which a transcript is written."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from speech_recognition.files import atomic_write
from speech_recognition.inference.captions import captions
from speech_recognition.inference.transcript import Transcript


def txt(transcript: Transcript) -> str:
    """Return the text in one line."""
    return f"{transcript.text}\n"


def json_(transcript: Transcript) -> str:
    """Return everything that is known: text, words with times and confidence, and edit counts against a reference."""
    content = {
        "audio": transcript.name,
        "seconds": round(transcript.seconds, 3),
        "text": transcript.text,
        "confidence": round(transcript.confidence, 4),
        "words": [asdict(word) for word in transcript.words],
    }
    if transcript.alternatives:
        content["alternatives"] = [
            {"text": each.text, "score": round(each.score, 3)} for each in transcript.alternatives
        ]
    if score := transcript.score:
        content |= {"reference": transcript.reference, "word_errors": score.word_errors, "wer": round(score.wer, 2)}
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def srt(transcript: Transcript) -> str:
    """Return SubRip subtitles: number, times with a comma, lines, an empty line."""
    return "".join(
        f"{number}\n{_clock(each.start, ',')} --> {_clock(each.end, ',')}\n{_text(each.lines)}\n\n"
        for number, each in enumerate(captions(transcript.words), 1)
    )


def vtt(transcript: Transcript) -> str:
    """Return WebVTT subtitles: a header, then times with a point, lines, an empty line."""
    return "WEBVTT\n\n" + "".join(
        f"{_clock(each.start, '.')} --> {_clock(each.end, '.')}\n{_text(each.lines)}\n\n"
        for each in captions(transcript.words)
    )


def tsv(transcript: Transcript) -> str:
    """Return the captions as a table: start and end in milliseconds, text; Whisper's tools have the same columns."""
    rows = (
        f"{_milliseconds(each.start)}\t{_milliseconds(each.end)}\t{' '.join(each.lines)}\n"
        for each in captions(transcript.words)
    )
    return "start\tend\ttext\n" + "".join(rows)


def ctm(transcript: Transcript) -> str:
    """Return NIST's conversation time marks: recording, channel, start and duration in seconds, word, confidence."""
    name = "_".join(Path(transcript.name).stem.split()) or "-"
    return "".join(
        f"{name} 1 {each.start:.3f} {each.end - each.start:.3f} {each.word} {each.confidence:.4f}\n"
        for each in transcript.words
    )


FORMATS: dict[str, Callable[[Transcript], str]] = {
    "txt": txt,
    "json": json_,
    "srt": srt,
    "vtt": vtt,
    "ctm": ctm,
    "tsv": tsv,
}
"""Formats by the name that is also the suffix of their files."""


def path_of(stem: Path, name: str) -> Path:
    """Return the path of a transcript in the format `name`, for the path without a suffix."""
    return stem.with_name(f"{stem.name}.{name}")


def write(transcript: Transcript, stem: Path, formats: Sequence[str]) -> None:
    """Write a transcript to a file for each of `formats`, each completely or not at all."""
    for name in formats:
        with atomic_write(path_of(stem, name)) as partial:
            partial.write_text(FORMATS[name](transcript), encoding="utf-8", newline="\n")


def written(stem: Path, formats: Sequence[str]) -> bool:
    """Return whether a transcript's files in all of `formats` exist."""
    return all(path_of(stem, name).exists() for name in formats)


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines)


def _milliseconds(seconds: float) -> int:
    return round(1000 * seconds)


def _clock(seconds: float, point: str) -> str:
    """Return a time as hours:minutes:seconds, then `point` and milliseconds."""
    whole, milliseconds = divmod(_milliseconds(seconds), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{point}{milliseconds:03d}"
