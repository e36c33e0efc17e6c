"""Word and character error rates, computed from counts that can be added.

The benchmark's quality is the corpus rate: all errors divided by all words. The mean of the utterances' own rates is
reported too, because the 2018 reference reported that one.
"""

from dataclasses import dataclass

import Levenshtein


@dataclass(frozen=True, kw_only=True)
class Score:
    """Edit counts of a set of utterances; the counts of several sets add up with `+`."""

    utterances: int = 0
    """number of utterances"""
    words: int = 0
    """words of the references"""
    word_errors: int = 0
    """words that were inserted, deleted or replaced"""
    characters: int = 0
    """characters of the references, spaces included"""
    character_errors: int = 0
    """characters that were inserted, deleted or replaced"""
    utterance_rates: float = 0.0
    """sum over utterances of word errors / words"""

    def __add__(self, other: "Score") -> "Score":
        # All counts but `utterance_rates` are integers, whose sum is the same in any order. That float's last bits
        # depend on the order, which evaluation.py takes from the manifest in every process.
        return Score(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    @property
    def wer(self) -> float:
        """Word error rate in percent over all words; insertions can raise it above 100."""
        return 100 * self.word_errors / self.words

    @property
    def cer(self) -> float:
        """Character error rate in percent; spaces are characters."""
        return 100 * self.character_errors / self.characters

    @property
    def utterance_wer(self) -> float:
        """Mean of the utterances' own word error rates, in percent (the 2018 reference's figure)."""
        return 100 * self.utterance_rates / self.utterances

    def __str__(self) -> str:
        return (
            f"WER {self.wer:.2f}, CER {self.cer:.2f}, utterance-mean WER {self.utterance_wer:.2f}"
            f" ({self.word_errors} errors in {self.words} words of {self.utterances} utterances)"
        )


def score(reference: str, hypothesis: str) -> Score:
    """Return the edit counts of one utterance: the least number of insertions, deletions and replacements.

    `reference` must have at least one word.
    """
    words = reference.split()
    # Of two lists, the distance counts whole words; of two texts, characters.
    errors = Levenshtein.distance(words, hypothesis.split())
    return Score(
        utterances=1,
        words=len(words),
        word_errors=errors,
        characters=len(reference),
        character_errors=Levenshtein.distance(reference, hypothesis),
        utterance_rates=errors / len(words),
    )


def target_reached(wer: float, target: float) -> bool:
    """Return whether `wer` is at or below `target`, which ends a run; NaN is not."""
    return wer <= target
