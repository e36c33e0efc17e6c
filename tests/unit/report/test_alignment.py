"""Tests of aligning a hypothesis with its transcript."""

import Levenshtein
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.report.alignment import Pair, align, confusions

TEXTS = st.lists(st.sampled_from(["A", "BEE", "CAB", "D"]), max_size=8).map(" ".join)


def test_words_stand_beside_what_was_heard_for_them() -> None:
    assert align("THE CAT SAT", "A CAT SAT DOWN") == [
        Pair("THE", "A", "substitution"),
        Pair("CAT", "CAT", "equal"),
        Pair("SAT", "SAT", "equal"),
        Pair("", "DOWN", "insertion"),
    ]
    assert align("NO ONE", "") == [Pair("NO", "", "deletion"), Pair("ONE", "", "deletion")]


@given(TEXTS, TEXTS)
def test_every_word_is_there_once_with_as_few_errors_as_can_be(reference: str, hypothesis: str) -> None:
    pairs = align(reference, hypothesis)
    assert [pair.reference for pair in pairs if pair.reference] == reference.split()
    assert [pair.hypothesis for pair in pairs if pair.hypothesis] == hypothesis.split()
    assert sum(pair.kind != "equal" for pair in pairs) == Levenshtein.distance(reference.split(), hypothesis.split())
    for pair in pairs:
        kinds = {"deletion": not pair.hypothesis, "insertion": not pair.reference}
        assert kinds.get(pair.kind, (pair.reference == pair.hypothesis) == (pair.kind == "equal"))


def test_confusions_are_counted_and_right_words_are_not() -> None:
    pairs = [*align("A B", "A C"), *align("B", "C"), *align("A", "")]
    assert confusions(pairs) == {Pair("B", "C", "substitution"): 2, Pair("A", "", "deletion"): 1}
