"""Tests of greedy decoding."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition import alphabet
from speech_recognition.decoding.greedy import greedy


def frames(*paths: str) -> torch.Tensor:
    """Return log-probabilities [time, batch, symbol] whose likeliest paths are the given strings of symbols."""
    longest = max(len(path) for path in paths)
    log_probs = torch.full((longest, len(paths), len(alphabet.SYMBOLS)), -10.0)
    for column, path in enumerate(paths):
        for row, symbol in enumerate(path):
            log_probs[row, column, alphabet.SYMBOLS.index(symbol)] = 0.0
    return log_probs


def read(path: str) -> str:
    return greedy(frames(path), torch.tensor([len(path)]))[0]


def test_repeats_collapse_before_blanks_go() -> None:
    assert read("MMOOS_SS") == "MOSS"
    assert read("BO_OK_KE_EPE_R") == "BOOKKEEPER"
    assert read("_A  B_") == "A B"


def test_only_blanks_are_no_text() -> None:
    assert read("____") == ""


def test_frames_after_the_end_are_not_read() -> None:
    assert greedy(frames("ABCD", "ABCD"), torch.tensor([4, 2])) == ["ABCD", "AB"]
    assert greedy(frames("AB"), torch.tensor([0])) == [""]


@given(st.text(alphabet=alphabet.SYMBOLS.replace("_", ""), min_size=1, max_size=30))
def test_every_text_has_a_path_that_reads_as_itself(text: str) -> None:
    assert read("_".join(text)) == text
