"""Tests of word and character errors."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.scoring import Score, score, target_reached

SENTENCES = st.lists(st.sampled_from(["A", "CAT", "SAT", "ON", "THE", "MAT"]), min_size=1, max_size=6).map(" ".join)


def test_word_and_character_errors() -> None:
    counts = score("THE CAT SAT", "THE CAT SAT ON")
    assert (counts.words, counts.word_errors) == (3, 1)
    assert (counts.characters, counts.character_errors) == (11, 3)


def test_no_hypothesis_is_all_wrong() -> None:
    assert score("THE CAT", "").wer == 100
    assert score("THE CAT", "").cer == 100


def test_insertions_can_pass_100() -> None:
    assert score("CAT", "A CAT ON THE MAT").wer == 400


def test_the_corpus_rate_is_over_all_words_and_the_mean_is_not() -> None:
    total = score("A", "THE") + score("THE CAT SAT ON THE MAT A CAT SAT", "THE CAT SAT ON THE MAT A CAT SAT")
    assert total.wer == pytest.approx(10)
    assert total.utterance_wer == pytest.approx(50)


@given(st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=8), st.integers(0, 8))
def test_scores_add_however_they_are_split(pairs: list[tuple[str, str]], cut: int) -> None:
    scores = [score(*pair) for pair in pairs]
    whole = sum(scores, Score())
    parts = sum(scores[:cut], Score()) + sum(scores[cut:], Score())
    assert (whole.words, whole.word_errors, whole.utterances) == (parts.words, parts.word_errors, parts.utterances)
    assert whole.utterance_wer == pytest.approx(parts.utterance_wer)


@given(SENTENCES)
def test_a_sentence_has_no_error_against_itself(sentence: str) -> None:
    assert score(sentence, sentence).word_errors == 0


@pytest.mark.parametrize(
    ("wer", "reached"), [(0.0, True), (23.0, True), (23.0001, False), (math.inf, False), (math.nan, False)]
)
def test_the_target_counts_and_nan_does_not(wer: float, reached: bool) -> None:
    assert target_reached(wer, 23.0) is reached
