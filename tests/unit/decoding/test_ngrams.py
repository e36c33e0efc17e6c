"""Tests of language models made from text: sound probabilities, in a file that KenLM reads alike."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.decoding.language_model import load_language_model
from speech_recognition.decoding.ngrams import count, read_sentences, write_arpa
from speech_recognition.errors import InputError

TEXT = ["THE CAT SAT", "THE DOG SAT", "THE CAT RAN AWAY", "A CAT", "SAT"]


def model(path: Path, sentences: list[str], order: int) -> tuple[dict[str, float], dict[str, float]]:
    """Write the model of some sentences; return the probabilities and the weights in the file."""
    write_arpa(path, count([sentence.split() for sentence in sentences], order))
    rows = [line.split("\t") for line in path.read_text().splitlines() if "\t" in line]
    logs = {row[1]: float(row[0]) for row in rows}
    return {name: 10**log for name, log in logs.items()}, {row[1]: 10 ** float(row[2]) for row in rows if len(row) > 2}


def probability(word: str, history: list[str], tables: tuple[dict[str, float], dict[str, float]]) -> float:
    """Return P(word | history) as the ARPA format defines it."""
    probabilities, weights = tables
    if (ngram := " ".join([*history, word])) in probabilities:
        return probabilities[ngram]
    return weights.get(" ".join(history), 1.0) * probability(word, history[1:], tables)


sentences = st.lists(st.lists(st.sampled_from("ABCDE"), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=8)


@given(sentences, st.integers(1, 4))
def test_the_probabilities_after_every_history_sum_to_one(
    tmp_path_factory: pytest.TempPathFactory, text: list[str], order: int
) -> None:
    tables = model(tmp_path_factory.getbasetemp() / "lm.arpa", text, order)
    words = {name for name in tables[0] if " " not in name} - {"<s>"}
    assert {"</s>", "<unk>"} < words
    for history in ("", *tables[1]):
        total = sum(probability(word, history.split(), tables) for word in words)
        assert total == pytest.approx(1, abs=1e-4), history


def test_a_count_of_one_text_by_hand(tmp_path: Path) -> None:
    probabilities, weights = model(tmp_path / "lm.arpa", ["A B", "A C"], 2)
    # Six tokens (A twice, B, C, </s> twice) of four kinds; five words with <unk>.
    assert probabilities["A"] == pytest.approx((2 + 4 / 5) / (6 + 4), rel=1e-5)
    assert probabilities["<unk>"] == pytest.approx((4 / 5) / (6 + 4), rel=1e-5)
    # A is followed by B and C, once each.
    assert weights["A"] == pytest.approx(2 / (2 + 2), rel=1e-5)
    assert probabilities["A B"] == pytest.approx((1 + 2 * probabilities["B"]) / (2 + 2), rel=1e-5)
    assert weights["<s>"] == pytest.approx(1 / (2 + 1), rel=1e-5)


@pytest.mark.parametrize("order", [2, 3, 6])
def test_kenlm_computes_the_same_probabilities(tmp_path: Path, order: int) -> None:
    tables = model(tmp_path / "lm.arpa", TEXT, order)
    loaded = load_language_model(tmp_path / "lm.arpa")
    assert sorted(loaded.words) == ["A", "AWAY", "CAT", "DOG", "RAN", "SAT", "THE"] and loaded.left_out == 0
    for sentence in (*TEXT, "AWAY THE DOG", "DOG DOG DOG"):
        history, state = ["<s>"], loaded.kenlm.start(False)
        for word in sentence.split():
            state, score = loaded.kenlm.score(state, loaded.words.index(word))
            expected = probability(word, history[max(0, len(history) - order + 1) :], tables)
            assert 10**score == pytest.approx(expected, rel=1e-4), (sentence, word)
            history.append(word)
        _, score = loaded.kenlm.finish(state)
        expected = probability("</s>", history[max(0, len(history) - order + 1) :], tables)
        assert score == pytest.approx(math.log10(expected), abs=1e-4)


def test_what_is_counted_is_said() -> None:
    counted = count([sentence.split() for sentence in [*TEXT, ""]], 3)
    assert str(counted) == "5 sentences, 13 words, 7 of them different, 13 2-grams, 12 3-grams"


def test_an_order_beyond_the_longest_sentence_has_no_section(tmp_path: Path) -> None:
    model(tmp_path / "lm.arpa", ["A", "B"], 5)
    text = (tmp_path / "lm.arpa").read_text()
    assert "ngram 3=2\n" in text and "ngram 4" not in text and text.endswith("\n\\end\\\n")


def test_lines_are_sentences_in_capitals_and_manifests_have_transcripts(tmp_path: Path, tone_dataset: Path) -> None:
    (tmp_path / "text.txt").write_bytes(b"\xef\xbb\xbfit's  here\r\n\n\tThe end")
    manifest = tone_dataset / "manifests" / "val.csv"
    read = [*read_sentences([tmp_path / "text.txt", manifest])]
    assert read[:3] == [["IT'S", "HERE"], [], ["THE", "END"]] and len(read) == 3 + 6
    assert all(set("".join(words)) <= set("ABCDE") for words in read[3:])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"GOOD\nTWO, THREE 4", "line 2: ',4' is outside the alphabet"),
        (b"CAF\xc3\x89", "line 1: 'É' is outside the alphabet"),
        (b"CAF\xc9", "not in UTF-8"),
    ],
)
def test_text_that_nobody_can_say_is_refused_with_its_line(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        [*read_sentences([path])]
    assert str(path) in str(refusal.value) and reason in str(refusal.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.txt"):
        with pytest.raises(InputError, match=f"{path}: "):
            [*read_sentences([path])]
    with pytest.raises(InputError, match="no words in the text"):
        count([[], []], 3)
