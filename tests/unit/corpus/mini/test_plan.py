"""Tests of the embedded corpus's plan: its speakers and sentences."""

from collections import Counter

import pytest

from speech_recognition.alphabet import SYMBOLS, unknown_symbols
from speech_recognition.corpus.mini.plan import (
    LONGEST_PAUSE,
    LONGEST_SENTENCE,
    LONGEST_SILENCE,
    LOUDEST_NOISE,
    PAUSED,
    QUIETEST_NOISE,
    SHORTEST_PAUSE,
    SHORTEST_SENTENCE,
    SHORTEST_SILENCE,
    SUBSETS,
    WORDS,
    PlannedUtterance,
    planned_utterances,
)


@pytest.fixture(scope="module")
def utterances() -> list[PlannedUtterance]:
    return planned_utterances()


def by_subset(utterances: list[PlannedUtterance]) -> dict[str, list[PlannedUtterance]]:
    return {subset.name: [each for each in utterances if each.speaker.subset == subset.name] for subset in SUBSETS}


def test_every_subset_has_its_utterances_and_speakers(utterances: list[PlannedUtterance]) -> None:
    groups = by_subset(utterances)
    assert sum(map(len, groups.values())) == len(utterances)
    for subset in SUBSETS:
        assert len(groups[subset.name]) == subset.utterances
        assert len({each.speaker for each in groups[subset.name]}) == subset.speakers


def test_no_speaker_and_no_voice_variant_is_in_two_subsets(utterances: list[PlannedUtterance]) -> None:
    groups = by_subset(utterances)
    numbers = [each.speaker.number for group in groups.values() for each in {e.speaker: e for e in group}.values()]
    assert len(set(numbers)) == len(numbers)
    variants = [{each.speaker.voice.split("+")[1] for each in group} for group in groups.values()]
    assert len(set.union(*variants)) == sum(map(len, variants))
    voices = [each.speaker for each in utterances]
    assert len({(each.voice, each.rate, each.pitch) for each in voices}) == len(set(voices))


def test_no_sentence_is_said_twice_in_the_whole_corpus(utterances: list[PlannedUtterance]) -> None:
    assert len({each.transcript for each in utterances}) == len(utterances)


def test_every_subset_has_the_whole_vocabulary(utterances: list[PlannedUtterance]) -> None:
    assert len(set(WORDS)) == len(WORDS)
    for group in by_subset(utterances).values():
        assert {word for each in group for word in each.transcript.split()} == set(WORDS)


def test_the_vocabulary_needs_every_symbol_and_doubled_letters() -> None:
    assert set("".join(WORDS)) == set(SYMBOLS) - {"_", " "}
    assert not unknown_symbols("".join(WORDS))
    assert {"DON'T", "IT'S", "BOOK", "SMALL"} <= set(WORDS)


def test_sentences_have_every_length_about_as_often(utterances: list[PlannedUtterance]) -> None:
    lengths = Counter(len(each.transcript.split()) for each in utterances)
    assert set(lengths) == set(range(SHORTEST_SENTENCE, LONGEST_SENTENCE + 1))
    assert max(lengths.values()) < 1.2 * min(lengths.values())


def test_silence_of_varied_length_stands_around_every_sentence(utterances: list[PlannedUtterance]) -> None:
    for edge in (0, -1):
        lengths = [each.silences[edge] for each in utterances]
        assert min(lengths) >= SHORTEST_SILENCE and max(lengths) <= LONGEST_SILENCE
        assert len(set(lengths)) > 0.9 * (LONGEST_SILENCE - SHORTEST_SILENCE)


def test_a_quarter_of_the_sentences_has_one_pause_within(utterances: list[PlannedUtterance]) -> None:
    paused = [each for each in utterances if len(each.phrases) > 1]
    assert PAUSED - 0.04 < len(paused) / len(utterances) < PAUSED + 0.04
    assert all(each.phrases[0] and each.phrases[1] and len(each.silences) == 3 for each in paused)
    assert all(SHORTEST_PAUSE <= each.silences[1] <= LONGEST_PAUSE for each in paused)
    assert all(len(each.silences) == 2 for each in utterances if len(each.phrases) == 1)


def test_speakers_differ_in_their_noise(utterances: list[PlannedUtterance]) -> None:
    assert {each.speaker.noise for each in utterances} == set(range(QUIETEST_NOISE, LOUDEST_NOISE + 1))


def test_ids_have_librispeechs_form_and_are_unique(utterances: list[PlannedUtterance]) -> None:
    assert len({each.utterance_id for each in utterances}) == len(utterances)
    first = utterances[0]
    assert first.utterance_id == f"{first.speaker.number}-{first.chapter}-0000"


def test_the_plan_is_the_same_every_time(utterances: list[PlannedUtterance]) -> None:
    assert planned_utterances() == utterances
