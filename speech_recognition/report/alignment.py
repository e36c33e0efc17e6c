"""The alignment of reference and hypothesis word by word, and the counts of confused words."""

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
    """Word of the reference and the word of the hypothesis in its place.

    An insertion has the reference "", a deletion the hypothesis "".
    """

    reference: str
    hypothesis: str
    kind: Kind


def align(reference: str, hypothesis: str) -> list[Pair]:
    """Return the words of two transcripts in pairs, with as few substitutions, deletions and insertions as possible."""
    said, heard = reference.split(), hypothesis.split()
    pairs = []
    for tag, begin, end, heard_begin, heard_end in Levenshtein.opcodes(said, heard):
        length = max(end - begin, heard_end - heard_begin)
        left = said[begin:end] or [""] * length
        right = heard[heard_begin:heard_end] or [""] * length
        pairs += [Pair(one, other, _KINDS[tag]) for one, other in zip(left, right, strict=True)]
    return pairs


def confusions(pairs: Iterable[Pair]) -> Counter[Pair]:
    """Return how often each pair of different words occurs."""
    return Counter(pair for pair in pairs if pair.kind != "equal")
