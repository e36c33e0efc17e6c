"""Tests of captions."""

from speech_recognition.inference.captions import Caption, captions
from speech_recognition.inference.words import Word


def spoken(*words: str, start: float = 0.0, seconds: float = 0.4, pause: float = 0.1) -> list[Word]:
    """Return words that follow each other with the same pauses."""
    starts = [start + index * (seconds + pause) for index in range(len(words))]
    return [Word(word=word, start=at, end=at + seconds, confidence=1.0) for word, at in zip(words, starts, strict=True)]


def test_no_words_make_no_captions() -> None:
    assert captions([]) == []


def test_words_share_a_caption_until_a_pause() -> None:
    words = spoken("ONE", "TWO") + spoken("THREE", start=2.5)
    assert captions(words) == [Caption(0.0, 1.0, ("ONE TWO",)), Caption(2.5, 3.5, ("THREE",))]


def test_a_caption_has_at_most_two_lines_of_42_characters_of_nearly_one_length() -> None:
    found = captions(spoken(*["LETTERS"] * 24, seconds=0.1, pause=0.0))
    assert len(found) == 3 and sum(len(line.split()) for each in found for line in each.lines) == 24
    assert all(len(each.lines) <= 2 and all(len(line) <= 42 for line in each.lines) for each in found)
    (even,) = captions(spoken(*["LETTERS"] * 6, seconds=0.1, pause=0.0))
    assert even.lines == ("LETTERS LETTERS LETTERS",) * 2


def test_a_caption_lasts_at_most_seven_seconds_and_at_least_one_where_there_is_time() -> None:
    found = captions(spoken(*"ABCDEFGHIJ", seconds=1.0))
    assert all(each.end - each.start <= 7.0 for each in found) and len(found) == 2
    short = captions(spoken("A", seconds=0.2) + spoken("B", start=1.1, seconds=0.2))
    assert [(each.start, each.end) for each in short] == [(0.0, 1.0), (1.1, 2.1)]


def test_a_caption_ends_when_the_next_begins() -> None:
    words = [Word(word="LONG" * 20, start=0.0, end=0.1, confidence=1.0), *spoken("B", start=0.95)]
    first, second = captions(words)
    assert first.end == second.start == 0.95 and first.lines == ("LONG" * 20,)
