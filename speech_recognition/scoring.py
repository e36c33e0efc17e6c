"""Word and character error rates, from counts that add up.

The headline is the corpus rate: all errors over all words. The mean of each
utterance's own rate stands beside it, since the 2018 reference reported that.
"""

from dataclasses import dataclass

import Levenshtein


@dataclass(frozen=True, kw_only=True)
class Score:
    """Edit counts of some utterances; scores add across utterances, batches and devices."""

    utterances: int = 0
    words: int = 0
    word_errors: int = 0
    characters: int = 0
    character_errors: int = 0
    utterance_rates: float = 0.0
    """sum of each utterance's own word errors over its words"""

    def __add__(self, other: "Score") -> "Score":
        return Score(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    @property
    def wer(self) -> float:
        """Word error rate in percent, over all words of all utterances; can exceed 100."""
        return 100 * self.word_errors / self.words

    @property
    def cer(self) -> float:
        """Character error rate in percent, spaces counted."""
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
    """Edit counts of one utterance. `reference` holds at least one word."""
    words = reference.split()
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
    """Whether a run may end: at the target counts, and NaN never does."""
    return wer <= target
