"""Captions: a transcript divided into short texts with times, as subtitles show them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from speech_recognition.inference.words import Word

LINE_CHARACTERS = 42
"""Most characters of a line, as most guidelines for subtitles ask."""

MOST_LINES = 2
"""Most lines of a caption."""

LONGEST_SECONDS, SHORTEST_SECONDS = 7.0, 1.0
"""Longest time that a caption is shown, and the shortest unless the next one follows sooner."""

PAUSE_SECONDS = 0.8
"""Pause between two words after which a new caption begins."""


@dataclass(frozen=True)
class Caption:
    """Text that is shown from one time to another."""

    start: float
    """Seconds from the beginning of the recording at which it appears."""
    end: float
    """Seconds from the beginning of the recording at which it disappears."""
    lines: tuple[str, ...]
    """One or two lines of text."""


def captions(words: Sequence[Word]) -> list[Caption]:
    """Return the captions of `words`, each after the other in time."""
    groups = list(_groups(words))
    found = []
    for index, group in enumerate(groups):
        start, end = group[0].start, max(group[-1].end, group[0].start + SHORTEST_SECONDS)
        if index + 1 < len(groups):
            end = min(end, groups[index + 1][0].start)
        found.append(Caption(start, end, _lines([each.word for each in group])))
    return found


def _groups(words: Sequence[Word]) -> Iterator[list[Word]]:
    """Yield the words of each caption."""
    group: list[Word] = []
    for word in words:
        if group and not _fits(group, word):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _fits(group: Sequence[Word], word: Word) -> bool:
    """Return whether `word` continues the caption of `group`."""
    soon = word.start - group[-1].end < PAUSE_SECONDS and word.end - group[0].start <= LONGEST_SECONDS
    return soon and len(_wrapped([*(each.word for each in group), word.word])) <= MOST_LINES


def _wrapped(words: Sequence[str], width: int = LINE_CHARACTERS) -> tuple[str, ...]:
    """Return `words` in lines of at most `width` characters, or of one word that is longer."""
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return tuple(lines)


def _lines(words: Sequence[str]) -> tuple[str, ...]:
    """Return `words` in as few lines as possible, of nearly the same length."""
    lines = _wrapped(words)
    for width in range(LINE_CHARACTERS - 1, 0, -1):
        narrower = _wrapped(words, width)
        if len(narrower) > len(lines):
            break
        lines = narrower
    return lines
