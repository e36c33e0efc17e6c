"""Tests of benchmarks/scoring.py: every way counts and decodes alike, and a difference is an error."""

import pytest

from benchmarks import scoring


def test_the_ways_agree_on_made_up_texts() -> None:
    pairs = scoring.make_pairs(2000)
    assert sum(len(reference.split()) for reference, _ in pairs) == 2000
    errors = scoring.ours(pairs)
    assert errors == scoring.plain(pairs)
    assert 0.08 < errors / 2000 < 0.2


def test_the_ways_decode_alike() -> None:
    outputs = scoring.make_outputs(40)
    texts = scoring.decode(outputs)
    assert texts == scoring.decode_plainly(outputs)
    assert len(set(texts)) == 40


def test_ways_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="counting: other differs from ours"):
        scoring.compare("counting", {"ours": lambda: 1, "other": lambda: 2}, repeats=1)
