"""Manifests: the table of a split's utterances, read in any of four forms, checked and written.

Paths in a manifest are relative to its base folder. If the manifest lies in a folder called
`manifests`, the base is that folder's parent (the dataset), otherwise the manifest's own folder.
A part of a manifest can therefore be saved beside the whole and used like it:

    head -51 D/manifests/train.csv > D/manifests/fifty.csv
"""

import math
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from speech_recognition.alphabet import unknown_symbols
from speech_recognition.corpus.audio import LONGEST_SECONDS, count_samples
from speech_recognition.corpus.manifest_forms import WRITERS, Row, read_rows
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write, read_regular
from speech_recognition.parameters import SAMPLE_RATE

_LONGEST_ID_BYTES = 80
"""Most bytes of an utterance id: it names files, whose paths may have 100 bytes in the tar stream of the checksum."""

LONGEST_NAME = 200
"""Most characters of any name in a row: speakers and subsets are printed in tables."""

_LARGEST_TEXT = 1_000_000
"""Most bytes of a transcript's file; the words of an hour of speech take a twentieth."""


@dataclass(frozen=True)
class Utterance:
    """One recording with its transcript, as a row of a processed dataset's manifest."""

    id: str
    """Utterance id, which no other row of the manifest has."""
    audio: Path
    """Path of its recording, a 16 kHz mono WAV file."""
    text: Path | None
    """Path of a file with the transcript and a newline; None if there is none."""
    transcript: str
    """Words in capitals."""
    seconds: float
    """Duration in seconds."""
    samples: int
    """Number of samples."""
    speaker: str
    """Name of the speaker; LibriSpeech's are readers' numbers."""
    subset: str
    """Name of the subset; LibriSpeech's are folders such as dev-clean."""
    bytes: int
    """Size of the WAV file in bytes."""


@dataclass(frozen=True, slots=True)
class Source:
    """One utterance as its manifest row describes it; its audio has not been opened yet."""

    id: str
    """Utterance id."""
    audio: Path
    """Path of its recording, of any form."""
    text: Path | None
    """Path of its text file; None if the row has none."""
    transcript: str
    """Words in capitals."""
    speaker: str
    """Name of the speaker; "" if neither the row nor the id tells it."""
    subset: str
    """Name of the subset, by default the beginning of the manifest's name."""
    where: str
    """The manifest and the line, for messages."""


def by_length(each: Utterance) -> tuple[int, str]:
    """Return the key that sorts utterances by length, and those of equal length by id."""
    return each.samples, each.id


def base_folder(manifest: Path) -> Path:
    """Return the absolute folder that a manifest's paths are relative to."""
    folder = manifest.absolute().parent
    return folder.parent if folder.name == "manifests" else folder


def write_manifest(path: Path, utterances: Iterable[Utterance], form: str = "csv") -> None:
    """Write utterances, in their order, to a manifest in one of the forms of `manifest_forms`.

    Raises InputError if a path is not UTF-8, or the form requires a text file that an utterance lacks.
    """
    base = base_folder(path)
    try:
        with atomic_write(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            WRITERS[form](file, (_fields(each, base) for each in utterances), base)
    except UnicodeEncodeError as error:
        raise InputError(f"{path}: {error.object!r} is not UTF-8, which a manifest requires; rename it") from None


def _fields(each: Utterance, base: Path) -> dict[str, str]:
    """Return an utterance's fields as text, by column, with paths relative to `base` where possible."""
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
    """Return `path` relative to `base` if it lies there, so that the dataset can be moved, or else absolute."""
    absolute = path.absolute()  # not resolve(): a dataset whose wav folder is a link elsewhere stays movable
    return absolute.relative_to(base).as_posix() if absolute.is_relative_to(base) else absolute.as_posix()


def read_manifest(path: Path) -> list[Utterance]:
    """Return the checked utterances of a manifest with absolute paths, shortest first and equal lengths by id.

    Columns that the manifest's form lacks are filled in: the transcript from the text file, the
    length from the header of the WAV file. Transcripts are upper-cased.

    Raises InputError, naming the file and the line, if the file is missing, has none of the four
    forms, or has no rows; and if a row has a bad number, a repeated id, an empty transcript, a
    character outside the alphabet, or an audio file that does not exist. Where the length comes
    from the audio file's header, raises it for a header that `audio.read_pcm` would refuse, too.
    """
    base = base_folder(path)
    # By id, which finds a repeated one at once. LibriSpeech's 281,241 rows take 10 s, 1 s of it for the look whether
    # each audio file exists, and 360 MB.
    utterances: dict[str, Utterance] = {}
    for row in read_rows(path):
        source = find_source(row, base, path)
        check_transcript(source.transcript, source.id, source.where)
        if source.id in utterances:
            raise repeated(source)
        utterances[source.id] = _utterance(row.fields, source)
    if not utterances:
        raise InputError(f"{path}: no utterances; prepare the dataset again or give a different manifest")
    return sorted(utterances.values(), key=by_length)


def find_source(row: Row, base: Path, manifest: Path) -> Source:
    """Return the utterance of a row. A missing id is taken from the audio file's name, a transcript from the text file.

    Raises InputError for a bad name, an audio file that does not exist, or a text file that cannot be read.
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
        raise InputError(f"{where}: utterance_id is empty; give every row an id of its own")
    for column, value in names.items():
        if len(value) > LONGEST_NAME or not is_plain(value):
            raise InputError(
                f"{where}: {column} {value!r} must be printable and have at most {LONGEST_NAME} characters;"
                " use a different one"
            )
    # Before anything is trained: a missing recording would else end a run when its batch is due, hours later.
    _check_audio(audio, where)
    transcript = fields["transcript"] if "transcript" in fields else _read_text(text, where)
    return Source(
        id=name,
        audio=audio,
        text=text,
        transcript=transcript.upper(),  # TensorFlow's manifests are lower case
        speaker=names["speaker"],
        subset=names["subset"],
        where=where,
    )


def _check_audio(path: Path, where: str) -> None:
    """Raise InputError, its message beginning with `where`, unless `path` is a regular file."""
    try:
        if path.is_file():
            return
        problem = "is not a regular file" if path.exists() else "does not exist"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    raise InputError(f"{where}: audio file {path} {problem}; correct the path or make it again")


def is_plain(name: str) -> bool:
    """Return whether every character is printable or a space of any kind: no line ends, no bytes outside UTF-8."""
    return name.isprintable() or all(each.isprintable() or unicodedata.category(each) == "Zs" for each in name)


def check_id(utterance_id: str, where: str) -> None:
    """Raise InputError, its message beginning with `where`, for an id that cannot name a dataset's files."""
    # A slash could lead out of the dataset, and a file that begins with a dot is hidden.
    fit = is_plain(utterance_id) and "/" not in utterance_id and not utterance_id.startswith(".")
    if not fit or len(os.fsencode(utterance_id)) > _LONGEST_ID_BYTES:
        raise InputError(
            f"{where}: utterance_id {utterance_id!r} must be the name of a file: printable, no /, no . at the"
            f" beginning, at most {_LONGEST_ID_BYTES} bytes; use a different id"
        )


def _read_text(path: Path | None, where: str) -> str:
    """Return the words in a text file, separated by single spaces. Raises InputError if it cannot be read."""
    if path is None:
        raise InputError(f"{where}: the path of the text file is empty; correct or remove the row")
    try:
        return " ".join(read_regular(path, _LARGEST_TEXT).decode().split())
    except InputError as error:
        raise InputError(f"{where}: text file {error}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: text file {path} cannot be read ({error}); correct the path or the file") from None


def _speaker(utterance_id: str) -> str:
    """Return the speaker in an id of LibriSpeech's form (1272-128104-0000: 1272), or "" for other ids."""
    return utterance_id.partition("-")[0] if re.fullmatch(r"\d+-\d+-\d+", utterance_id) else ""


def repeated(source: Source) -> InputError:
    """Return the error for an utterance id that an earlier row has."""
    return InputError(
        f"{source.where}: utterance {source.id} appears twice; remove one row or give each its own utterance_id"
    )


def _utterance(fields: dict[str, str], source: Source) -> Utterance:
    """Return the utterance of a row. A length or size that the row lacks is read from the WAV file."""
    where = source.where
    # The row's number is believed here, since opening LibriSpeech's 281,241 headers takes 8 s even from memory.
    # `read_pcm` compares it with the file when the audio is read.
    if "samples" in fields:
        samples = _positive_whole(fields["samples"], "samples", where)
        if samples > LONGEST_SECONDS * SAMPLE_RATE:
            raise InputError(
                f"{where}: samples is {samples}, must be at most {LONGEST_SECONDS * SAMPLE_RATE}; remove the row"
            )
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
    """Raise InputError, its message beginning with `where`, for an empty transcript or one outside the alphabet."""
    if not transcript.strip():
        raise InputError(f"{where}: the transcript of utterance {utterance_id} is empty; correct or remove it")
    unknown = unknown_symbols(transcript)
    if unknown:
        raise InputError(
            f"{where}: {unknown[0]!r} in utterance {utterance_id} is outside the alphabet"
            " (A to Z, apostrophe, space); correct the transcript"
        )


def _positive(value: str, column: str, where: str) -> float:
    """Return a finite number above 0. Raises InputError, its message beginning with `where`, for anything else."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):  # float() accepts "nan", "inf" and "1e999"
        raise InputError(f"{where}: {column} is {value!r}, must be a number above 0; correct the row")
    return number


def _positive_whole(value: str, column: str, where: str) -> int:
    """Return a whole number above 0. Raises InputError, its message beginning with `where`, for anything else."""
    # 15 digits are more than any count here has, and int() has its own error for more than 4,300.
    if not (value.isascii() and value.isdigit() and len(value) < 16 and int(value) > 0):
        raise InputError(f"{where}: {column} is {value!r}, must be a whole number above 0; correct the row")
    return int(value)
