"""The manifest, a table of utterances, one file per split: read in any of four forms, written, checked.

Paths in a manifest are relative to its base folder: the dataset, when the manifest
lies in a folder called `manifests` of it, else the folder that holds the manifest.
So a part of a manifest can be saved beside it and used like the whole:

    head -51 D/manifests/train.csv > D/manifests/fifty.csv
"""

import math
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from params import SAMPLE_RATE
from speech_recognition.alphabet import unknown_symbols
from speech_recognition.corpus.audio import LONGEST_SECONDS, count_samples
from speech_recognition.corpus.manifest_forms import WRITERS, Row, read_rows
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write, read_regular

_LONGEST_ID_BYTES = 80
"""An id is a file's name, and the tar format of the checksum has room for 100 bytes of path."""

_LONGEST_NAME = 200
"""Characters of the other names of a row; they are printed in tables."""

_LARGEST_TEXT = 1_000_000
"""Bytes of a transcript's file; an hour of speech has a twentieth of this."""


@dataclass(frozen=True)
class Utterance:
    """One recording with its transcript.

    `audio` is a 16 kHz WAV of `samples` samples and `bytes` bytes, `text` a file that holds
    `transcript` and a newline (None if there is none); `speaker` and `subset` are LibriSpeech's.
    """

    id: str
    audio: Path
    text: Path | None
    transcript: str
    seconds: float
    samples: int
    speaker: str
    subset: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Source:
    """What a row says of an utterance before its recording is looked at; `where` names the row in messages."""

    id: str
    audio: Path
    text: Path | None
    transcript: str
    speaker: str
    subset: str
    where: str


def by_length(each: Utterance) -> tuple[int, str]:
    """The key that sorts a manifest: shortest utterance first, equal lengths by id."""
    return each.samples, each.id


def base_folder(manifest: Path) -> Path:
    """The folder that a manifest's paths are relative to."""
    folder = manifest.absolute().parent
    return folder.parent if folder.name == "manifests" else folder


def write_manifest(path: Path, utterances: Iterable[Utterance], form: str = "csv") -> None:
    """Write a manifest, in the order given, in one of the forms of `manifest_forms`."""
    base = base_folder(path)
    try:
        with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            WRITERS[form](file, (_fields(each, base) for each in utterances), base)
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: {error.object!r} is not UTF-8, as a manifest must be; rename it") from None


def _fields(each: Utterance, base: Path) -> dict[str, str]:
    return {
        "utterance_id": each.id,
        "audio": _portable(each.audio, base),
        "text": "" if each.text is None else _portable(each.text, base),
        "transcript": each.transcript,
        "seconds": str(each.seconds),
        "samples": str(each.samples),
        "speaker": each.speaker,
        "subset": each.subset,
        "bytes": str(each.bytes),
    }


def _portable(path: Path, base: Path) -> str:
    absolute = path.absolute()
    return absolute.relative_to(base).as_posix() if absolute.is_relative_to(base) else absolute.as_posix()


def read_manifest(path: Path) -> list[Utterance]:
    """Utterances, shortest first (equal lengths by id) whatever the file's order, with absolute paths, all checked.

    What the file's form does not tell is found: the transcript in the text file, the length
    in the header of the WAV file. Transcripts are upper-cased.

    Raises InputError, naming the file and the line, if the file is missing, has no form that
    is known or no rows, or if a row has a bad number, an id that came before, an empty
    transcript, a character outside the alphabet, or an audio file that does not exist or
    that has another form than `audio.read_pcm` reads.
    """
    base = base_folder(path)
    utterances: dict[str, Utterance] = {}
    for row in read_rows(path):
        source = find_source(row, base, path)
        check_transcript(source.transcript, source.id, source.where)
        if source.id in utterances:
            raise repeated(source)
        utterances[source.id] = _utterance(row.fields, source)
    if not utterances:
        raise InputError(f"{path}: no utterances; prepare the dataset again or give another manifest")
    return sorted(utterances.values(), key=by_length)


def find_source(row: Row, base: Path, manifest: Path) -> Source:
    """Complete what a row says: the id from the file's name, the transcript from the text file.

    Raises InputError if the audio file does not exist, or the text file cannot be read.
    """
    fields, where = row.fields, row.where
    audio = base / fields["audio"]
    text = base / fields["text"] if fields.get("text") else None
    name = fields.get("utterance_id", audio.stem)
    names = {
        "utterance_id": name,
        "speaker": fields.get("speaker", _speaker(name)),
        "subset": fields.get("subset", manifest.name.partition(".")[0]),
    }
    if not name:
        raise InputError(f"{where}: utterance_id is empty; give every row its own")
    for column, value in names.items():
        if len(value) > _LONGEST_NAME or not is_plain(value):
            raise InputError(
                f"{where}: {column} {value!r} must be printable, of {_LONGEST_NAME} characters at most; give it another"
            )
    _check_audio(audio, where)
    transcript = fields["transcript"] if "transcript" in fields else _read_text(text, where)
    return Source(
        id=name,
        audio=audio,
        text=text,
        transcript=transcript.upper(),
        speaker=names["speaker"],
        subset=names["subset"],
        where=where,
    )


def _check_audio(path: Path, where: str) -> None:
    try:
        if path.is_file():
            return
        problem = "is no regular file" if path.exists() else "does not exist"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    raise InputError(f"{where}: audio file {path} {problem}; correct the path or make it again")


def is_plain(name: str) -> bool:
    """Return whether all characters are printable or spaces of some kind: no line ends, no bytes outside UTF-8."""
    return name.isprintable() or all(each.isprintable() or unicodedata.category(each) == "Zs" for each in name)


def check_id(utterance_id: str, where: str) -> None:
    """Raise InputError, beginning with `where`, for an id that cannot name the files of a dataset."""
    fit = is_plain(utterance_id) and "/" not in utterance_id and not utterance_id.startswith(".")
    if not fit or len(os.fsencode(utterance_id)) > _LONGEST_ID_BYTES:
        raise InputError(
            f"{where}: utterance_id {utterance_id!r} must be the name of a file: printable, no /, no . at its"
            f" beginning, {_LONGEST_ID_BYTES} bytes at most; give it another"
        )


def _read_text(path: Path | None, where: str) -> str:
    if path is None:
        raise InputError(f"{where}: the path of the text is empty; correct or remove the row")
    try:
        return " ".join(read_regular(path, _LARGEST_TEXT).decode().split())
    except InputError as error:
        raise InputError(f"{where}: text file {error}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: text file {path} cannot be read ({error}); correct the path or the file") from None


def _speaker(utterance_id: str) -> str:
    """The speaker that an id of LibriSpeech's form names; empty for any other."""
    return utterance_id.partition("-")[0] if re.fullmatch(r"\d+-\d+-\d+", utterance_id) else ""


def repeated(source: Source) -> InputError:
    """The error to raise for an utterance id that came before."""
    return InputError(
        f"{source.where}: utterance {source.id} is there twice; remove one row or give each its own utterance_id"
    )


def _utterance(fields: dict[str, str], source: Source) -> Utterance:
    where = source.where
    if "samples" in fields:
        samples = _positive_whole(fields["samples"], "samples", where)
        if samples > LONGEST_SECONDS * SAMPLE_RATE:
            raise InputError(f"{where}: samples is {samples}, must be those of an hour at most; remove the row")
    else:
        samples = count_samples(source.audio)
    seconds = _positive(fields["seconds"], "seconds", where) if "seconds" in fields else samples / SAMPLE_RATE
    size = _positive_whole(fields["bytes"], "bytes", where) if "bytes" in fields else source.audio.stat().st_size
    return Utterance(
        id=source.id,
        audio=source.audio,
        text=source.text,
        transcript=source.transcript,
        seconds=seconds,
        samples=samples,
        speaker=source.speaker,
        subset=source.subset,
        bytes=size,
    )


def check_transcript(transcript: str, utterance_id: str, where: str) -> None:
    """Raise InputError, beginning with `where`, if a transcript is empty or has a character that no model can write."""
    if not transcript.strip():
        raise InputError(f"{where}: the transcript of utterance {utterance_id} is empty; correct or remove it")
    unknown = unknown_symbols(transcript)
    if unknown:
        raise InputError(
            f"{where}: {unknown[0]!r} in utterance {utterance_id} is outside the alphabet"
            " (A to Z, apostrophe, space); correct the transcript"
        )


def _positive(value: str, column: str, where: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise InputError(f"{where}: {column} is {value!r}, must be a number above 0")
    return number


def _positive_whole(value: str, column: str, where: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) < 16 and int(value) > 0):
        raise InputError(f"{where}: {column} is {value!r}, must be a whole number above 0")
    return int(value)
