"""Tests of beam search: exact sums over paths, and a language model that has its say."""

import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from speech_recognition.alphabet import BLANK, SYMBOLS, encode
from speech_recognition.decoding.beam import BeamSearch
from speech_recognition.decoding.greedy import greedy
from speech_recognition.decoding.language_model import LanguageModel, load_language_model
from speech_recognition.decoding.ngrams import count, write_arpa

TEXT = ["BAD CAB", "BAD CAB", "BAD BEE", "ACE"]


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    path = tmp_path_factory.mktemp("lm") / "lm.arpa"
    write_arpa(path, count([text.split() for text in TEXT], 2))
    return load_language_model(path)


def spoken(*frames: dict[str, float]) -> Tensor:
    """Log-probabilities [t, 1, symbol] of frames that give probabilities of symbols; the others share the rest."""
    probabilities = torch.full((len(frames), 1, len(SYMBOLS)), 1e-6)
    for row, frame in zip(probabilities, frames, strict=True):
        for symbol, probability in frame.items():
            row[0, SYMBOLS.index(symbol)] = probability
    return (probabilities / probabilities.sum(2, keepdim=True)).log()


def heard(text: str) -> Tensor:
    """Log-probabilities of a text that is heard clearly, a blank after each symbol."""
    return spoken(*({symbol: 1.0} for symbol in "_".join(text)))


def log_probability(text: str, log_probs: Tensor) -> float:
    """Return the logarithm of the sum over all CTC paths of a text."""
    ids = torch.tensor([encode(text)], dtype=torch.long).reshape(1, -1)
    frames = torch.tensor([len(log_probs)])
    loss = torch.nn.functional.ctc_loss(log_probs, ids, frames, torch.tensor([len(text)]), reduction="sum")
    return -float(loss)


def test_paths_of_one_text_add_up() -> None:
    log_probs, lengths = spoken({"_": 0.6, "A": 0.4}, {"_": 0.6, "A": 0.4}), torch.tensor([2])
    assert greedy(log_probs, lengths) == [""]  # 0.36
    assert BeamSearch()(log_probs, lengths) == ["A"]  # 0.16 + 0.24 + 0.24


@settings(max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_a_score_is_the_texts_probability_and_no_text_comes_twice(seed: int, frames: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    logits = torch.full((frames, 1, len(SYMBOLS)), -30.0)
    logits[:, :, :8] = 3 * torch.randn(frames, 1, 8, generator=draw)  # without the space
    log_probs = logits.log_softmax(2)
    (found,) = BeamSearch(width=1000).hypotheses(log_probs, torch.tensor([frames]), 5)
    assert len({each.text for each in found}) == len(found) == 5
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    for each in found:
        assert each.score == pytest.approx(log_probability(each.text, log_probs), abs=0.01), each.text
        single = torch.full((frames, 1, len(SYMBOLS)), -9.0)
        single[torch.arange(frames), 0, torch.tensor(each.path)] = 0.0
        assert greedy(single, torch.tensor([frames])) == [each.text], "its path reads as itself"


def test_spaces_stand_between_words_alone() -> None:
    log_probs = heard("  BAD  CAB ")
    assert BeamSearch()(log_probs, torch.tensor([len(log_probs)])) == ["BAD CAB"]
    (found,) = BeamSearch().hypotheses(log_probs, torch.tensor([len(log_probs)]), 50)
    assert len({each.text for each in found}) == len(found) == 50


def test_frames_after_the_end_are_not_read(language_model: LanguageModel) -> None:
    both = torch.cat([heard("BAD CAB"), heard("BAD CAB")], 1)
    for search in (BeamSearch(), BeamSearch(language_model=language_model)):
        assert search(both, torch.tensor([13, 6])) == ["BAD CAB", "BAD"]
        found = search.hypotheses(both, torch.tensor([13, 0]), 3)
        assert [len(each.path) for each in found[0]] == [13] * len(found[0])
        assert [(each.text, each.path) for each in found[1]] == [("", [])]


def test_the_model_decides_between_words_that_sound_alike(language_model: LanguageModel) -> None:
    log_probs = heard("BAD CAB")
    unsure = spoken({"C": 0.3, "D": 0.7})
    log_probs[8] = unsure[0]
    lengths = torch.tensor([len(log_probs)])
    assert greedy(log_probs, lengths) == ["BAD DAB"]
    assert BeamSearch()(log_probs, lengths) == ["BAD DAB"]
    assert BeamSearch(language_model=language_model)(log_probs, lengths) == ["BAD CAB"]


def test_alpha_weighs_the_model_against_what_is_heard(language_model: LanguageModel) -> None:
    log_probs = heard("BAD CAB")
    log_probs[8:] = torch.cat([spoken({"C": 0.3, "B": 0.7}), *[spoken({"_": 1.0})], *[spoken({"A": 0.4, "E": 0.6})] * 1,
                               spoken({"_": 1.0}), spoken({"B": 0.4, "E": 0.6})])  # fmt: skip
    lengths = torch.tensor([len(log_probs)])
    heard_best, likeliest = (
        BeamSearch(language_model=language_model, alpha=0.0),
        BeamSearch(language_model=language_model, alpha=5.0),
    )
    assert heard_best(log_probs, lengths) == ["BAD BEE"] and likeliest(log_probs, lengths) == ["BAD CAB"]


def test_beta_pays_for_words(language_model: LanguageModel) -> None:
    log_probs, lengths = heard("ACE"), torch.tensor([5])
    search = BeamSearch(language_model=language_model, beta=0.0)
    scores = [
        BeamSearch(language_model=language_model, beta=beta).hypotheses(log_probs, lengths, 1)[0][0].score
        for beta in (0.0, 2.0)
    ]
    assert search(log_probs, lengths) == ["ACE"] and scores[1] - scores[0] == pytest.approx(2, abs=1e-3)


def test_only_words_of_the_model_are_written(language_model: LanguageModel) -> None:
    log_probs = heard("BAD DAB CAB")
    texts = BeamSearch(language_model=language_model)(log_probs, torch.tensor([len(log_probs)]))
    assert set(texts[0].split()) <= {"BAD", "CAB", "BEE", "ACE"}


def test_words_in_small_letters_are_written_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "lm.arpa"
    write_arpa(path, count([text.lower().split() for text in TEXT], 2))
    log_probs = heard("BAD CAB")
    search = BeamSearch(language_model=load_language_model(path))
    assert search(log_probs, torch.tensor([len(log_probs)])) == ["BAD CAB"]


def test_the_model_counts_in_natural_logarithms(language_model: LanguageModel) -> None:
    log_probs, lengths = heard("ACE"), torch.tensor([5])
    with_model, without = (
        BeamSearch(language_model=language_model, alpha=alpha, beta=0.0).hypotheses(log_probs, lengths, 1)[0][0]
        for alpha in (1.0, 0.0)
    )
    kenlm, words = language_model.kenlm, language_model.words
    state, word = kenlm.score(kenlm.start(False), words.index("ACE"))
    expected = (word + kenlm.finish(state)[1]) * math.log(10)
    assert with_model.score - without.score == pytest.approx(expected, abs=1e-3)
    assert with_model.path[0] == SYMBOLS.index("A") and BLANK in with_model.path
