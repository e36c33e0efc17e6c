"""LibriSpeech's own layout: what its names mean, and its transcript files.

    <subset>/<speaker>/<chapter>/<speaker>-<chapter>-<utterance>.flac
    <subset>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt

A transcript file has a line for each utterance: its id, a space, its words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from speech_recognition.corpus.manifest import check_id, check_transcript, is_plain
from speech_recognition.errors import InputError

FLAC, TRANSCRIPTS = ".flac", ".trans.txt"

_SPLIT_OF_PREFIX = {"train": "train", "dev": "val", "test": "test"}


@dataclass(frozen=True, slots=True)
class Transcript:
    """A line of a transcript file: its words, and where they stand."""

    text: str
    file: str
    line: int


def split_of(subset: str, where: str) -> str:
    """The split that a subset belongs to. Raises InputError, beginning with `where`, for another name."""
    prefix, dash, rest = subset.partition("-")
    if prefix not in _SPLIT_OF_PREFIX or not dash or not rest or not is_plain(subset):
        raise InputError(
            f"{where}: subset folders are named train-*, dev-* or test-*; rename it, or give the folder that holds them"
        )
    return _SPLIT_OF_PREFIX[prefix]


def check_place(parts: tuple[str, ...], where: str) -> None:
    """Raise InputError unless a file at <subset>/<speaker>/<chapter>/<name> lies where its name tells.

    The name of a recording, without its ending, must be fit for an utterance's id.
    """
    *folders, name = parts
    suffix = TRANSCRIPTS if name.endswith(TRANSCRIPTS) else FLAC
    number = "" if suffix == TRANSCRIPTS else r"-\d+"
    expected = re.escape("-".join(folders[1:])) + number + re.escape(suffix)
    if len(folders) != 3 or not re.fullmatch(expected, name):
        raise InputError(f"{where}: does not lie at <speaker>/<chapter>/<speaker>-<chapter>...; move or remove it")
    if suffix == FLAC:
        check_id(name.removesuffix(FLAC), where)


def parse_transcripts(content: bytes, chapter: str, where: str) -> Iterator[tuple[str, Transcript]]:
    """Utterance id and transcript of each line; runs of spaces become one.

    Raises InputError, naming the line, if it has another form, an id that came before, an
    empty transcript, or a character outside the alphabet.
    """
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: cannot be read as text ({error}); fetch it again") from None
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        place = f"{where}:{number}"
        name, _, text = line.partition(" ")
        if not re.fullmatch(rf"{re.escape(chapter)}-\d+", name):
            raise InputError(f"{place}: the line must be '{chapter}-<utterance> TRANSCRIPT'; correct it")
        if name in seen:
            raise InputError(f"{place}: utterance {name} is there twice; remove one line")
        seen.add(name)
        transcript = " ".join(word for word in text.split(" ") if word)
        check_transcript(transcript, name, place)
        yield name, Transcript(transcript, where, number)
