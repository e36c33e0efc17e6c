"""Reference and hypothesis, word beside word, and what that says of the words."""

from collections import Counter
from collections.abc import Iterable
from typing import Literal, NamedTuple

import Levenshtein

Kind = Literal["equal", "substitution", "deletion", "insertion"]
_KINDS: dict[str, Kind] = {
    "equal": "equal",
    "replace": "substitution",
    "delete": "deletion",
    "insert": "insertion",
}


class Pair(NamedTuple):
    """A word of the reference and what was heard for it; one of them is empty where a word is missing or extra."""

    reference: str
    hypothesis: str
    kind: Kind


def align(reference: str, hypothesis: str) -> list[Pair]:
    """The words of two transcripts in pairs, with the fewest substitutions, deletions and insertions."""
    said, heard = reference.split(), hypothesis.split()
    pairs = []
    for tag, begin, end, heard_begin, heard_end in Levenshtein.opcodes(said, heard):
        length = max(end - begin, heard_end - heard_begin)
        left = said[begin:end] or [""] * length
        right = heard[heard_begin:heard_end] or [""] * length
        pairs += [Pair(one, other, _KINDS[tag]) for one, other in zip(left, right, strict=True)]
    return pairs


def confusions(pairs: Iterable[Pair]) -> Counter[Pair]:
    """How often each pair that is not equal occurs."""
    return Counter(pair for pair in pairs if pair.kind != "equal")
