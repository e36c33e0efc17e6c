"""LibriSpeech's own layout: the names of its folders and files, and the content of its transcript files.

    <subset>/<speaker>/<chapter>/<speaker>-<chapter>-<utterance>.flac
    <subset>/<speaker>/<chapter>/<speaker>-<chapter>.trans.txt

A transcript file has one line per utterance: the id, a space, the words.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from speech_recognition.corpus.manifest import check_id, check_transcript, is_plain
from speech_recognition.errors import InputError

FLAC, TRANSCRIPTS = ".flac", ".trans.txt"
"""Suffixes of a recording and of a chapter's transcripts."""

_SPLIT_OF_PREFIX = {"train": "train", "dev": "val", "test": "test"}
"""Split of a subset, by the part of its name before the dash."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Transcript of one utterance."""

    text: str
    """Words in capitals, separated by single spaces."""
    file: str
    """Name of the transcript file, for messages."""
    line: int
    """Number of the line in the file, from 1."""


def split_of(subset: str, where: str) -> str:
    """Return the split of a subset's folder.

    Raises InputError, its message beginning with `where`, unless the name is train-*, dev-* or test-*.
    """
    prefix, dash, rest = subset.partition("-")
    if prefix not in _SPLIT_OF_PREFIX or not dash or not rest or not is_plain(subset):
        raise InputError(
            f"{where}: subset folders are named train-*, dev-* or test-*; rename it, or give the folder that holds them"
        )
    return _SPLIT_OF_PREFIX[prefix]


def check_place(parts: tuple[str, ...], where: str) -> None:
    """Raise InputError unless `parts` are subset, speaker, chapter and a file name that begins with the last two.

    The name of a recording, without its suffix, must be a valid utterance id. Messages begin with `where`.
    """
    *folders, name = parts
    suffix = TRANSCRIPTS if name.endswith(TRANSCRIPTS) else FLAC
    number = "" if suffix == TRANSCRIPTS else r"-\d+"
    # The folders' names are a stranger's: unescaped, a folder called ".*" would match any file.
    expected = re.escape("-".join(folders[1:])) + number + re.escape(suffix)
    if len(folders) != 3 or not re.fullmatch(expected, name):
        raise InputError(f"{where}: does not lie at <speaker>/<chapter>/<speaker>-<chapter>...; move or remove it")
    if suffix == FLAC:
        check_id(name.removesuffix(FLAC), where)


def parse_transcripts(content: bytes, chapter: str, where: str) -> Iterator[tuple[str, Transcript]]:
    """Yield the utterance id and the transcript of each line, runs of spaces replaced by one space.

    Raises InputError, naming the line, for a line of a different form, a repeated id, an empty
    transcript, or a character outside the alphabet.
    """
    try:
        lines = content.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not UTF-8 text ({error}); download it again") from None
    seen: set[str] = set()
    for number, line in enumerate(lines, start=1):
        place = f"{where}:{number}"
        name, _, text = line.partition(" ")
        if not re.fullmatch(rf"{re.escape(chapter)}-\d+", name):
            raise InputError(f"{place}: the line must be '{chapter}-<utterance> TRANSCRIPT'; correct it")
        if name in seen:
            raise InputError(f"{place}: utterance {name} appears twice; remove one line")
        seen.add(name)
        # Split at spaces alone: a tab or a line separator in a transcript is refused below, not taken for a space.
        transcript = " ".join(word for word in text.split(" ") if word)
        check_transcript(transcript, name, place)
        yield name, Transcript(transcript, where, number)
