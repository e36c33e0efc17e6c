"""Tests of words, their times and their confidence."""

import dataclasses
import math
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import params
from speech_recognition import alphabet
from speech_recognition.decoding.greedy import greedy
from speech_recognition.inference.words import (
    Clock,
    WordReader,
    clock_of,
    likeliest_path,
    read_words,
)

CLOCK = Clock(frame=0.02, first=0.0)


def outputs(path: str, peak: float = 0.9) -> torch.Tensor:
    """Return log-probabilities [t, symbol] in which each symbol of `path` has the probability `peak`."""
    ids = torch.tensor([alphabet.SYMBOLS.index(symbol) for symbol in path])
    rest = torch.full((len(path), len(alphabet.SYMBOLS)), (1 - peak) / (len(alphabet.SYMBOLS) - 1)).log()
    return rest.scatter(1, ids[:, None], math.log(peak))


def read(path: str) -> list[tuple[str, float, float]]:
    log_probs = outputs(path)
    return [
        (word.word, word.start, word.end) for word in read_words(log_probs, log_probs.argmax(1).tolist(), CLOCK, 1.0)
    ]


def test_words_have_the_times_of_their_first_and_last_peaks() -> None:
    assert read("____A_BB__ __C_") == [("AB", pytest.approx(1.08), pytest.approx(1.14)), ("C", 1.26, 1.26)]


@pytest.mark.parametrize("path", ["", "___", "  _ ", "_ "])
def test_without_letters_there_are_no_words(path: str) -> None:
    assert read(path) == []


def test_spaces_at_the_edges_and_in_a_row_make_no_empty_words() -> None:
    assert [word for word, _, _ in read(" _A_ _ B_ _")] == ["A", "B"]


def test_confidence_is_the_probability_of_the_spelling_over_all_paths() -> None:
    log_probs = outputs("AB", 0.5)
    (word,) = read_words(log_probs, log_probs.argmax(1).tolist(), CLOCK)
    assert word.confidence == pytest.approx(0.25, abs=1e-4)
    # Paths of two frames that spell A: A_, _A and AA.
    log_probs = outputs("A_", 0.6)
    (word,) = read_words(log_probs, log_probs.argmax(1).tolist(), CLOCK)
    other = 0.4 / 28
    assert word.confidence == pytest.approx(0.6 * 0.6 + 0.6 * other + other * other, abs=1e-4)


def test_a_doubtful_word_has_less_confidence_than_its_neighbour() -> None:
    log_probs = torch.cat([outputs("_AB_ _", 0.99), outputs("CD_", 0.5)])
    sure, doubtful = read_words(log_probs, log_probs.argmax(1).tolist(), CLOCK)
    assert sure.confidence > 0.9 and doubtful.confidence < 0.4


@given(st.text("AB _", max_size=30), st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_words_do_not_depend_on_how_the_output_is_divided(path: str, sizes: list[int]) -> None:
    log_probs, reader = outputs(path), WordReader(CLOCK)
    ids, words, at, turn = log_probs.argmax(1).tolist(), [], 0, 0
    while at < len(path):
        size = sizes[turn % len(sizes)]
        words += reader.read(log_probs[at : at + size], ids[at : at + size])
        at, turn = at + size, turn + 1
    words += reader.finish()
    assert words == read_words(log_probs, ids, CLOCK)
    assert [word.word for word in words] == greedy(log_probs[:, None], torch.tensor([len(path)]))[0].split()
    assert all(one.end < other.start for one, other in pairwise(words))


def test_a_text_that_is_not_the_likeliest_is_aligned_with_the_output() -> None:
    log_probs = outputs("_A_B_")
    assert likeliest_path(log_probs, "AB") == log_probs.argmax(1).tolist()
    path = likeliest_path(log_probs, "AC")
    assert path[1] == alphabet.encode("A")[0] and alphabet.encode("C")[0] in path[2:]
    with pytest.raises(ValueError, match="does not fit into 5"):
        likeliest_path(log_probs, "ABCABC")


def test_a_text_without_a_symbol_has_no_words() -> None:
    """A beam search may find none where the likeliest path is a space."""
    log_probs = outputs("_ __")
    path = likeliest_path(log_probs, "")
    assert len(path) == 4 and read_words(log_probs, path, CLOCK) == []


def test_the_clock_follows_from_hop_stride_and_padding() -> None:
    padded, bare = params.tensorflow(), params.mlperf_2018()
    assert clock_of(padded) == Clock(0.02, 0.0)
    # Without padding, the first output frame sees the frames 0 to 30: its centre is frame 15.
    assert clock_of(bare).first == pytest.approx(0.15)
    slower = dataclasses.replace(bare, features=dataclasses.replace(bare.features, hop_seconds=0.016))
    assert clock_of(slower).frame == pytest.approx(0.032)
