"""What was recognised in one recording."""

from collections.abc import Sequence
from dataclasses import dataclass

from speech_recognition.decoding.beam import Hypothesis
from speech_recognition.inference.words import Word
from speech_recognition.scoring import Score, score


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """Text and words of one recording."""

    name: str
    """Name of the recording, as the user gave it."""
    seconds: float
    """Duration in seconds."""
    text: str
    """Words in capitals, separated by single spaces."""
    words: list[Word]
    """Words with their times and confidence."""
    reference: str | None = None
    """Transcript that lies beside the recording; None if there is none."""
    alternatives: Sequence[Hypothesis] = ()
    """Likeliest texts of a short recording, of which `text` is the first; empty unless they were asked for."""

    @property
    def confidence(self) -> float:
        """Mean of the words' confidences: the expected share of right words; 0 without words."""
        return sum(each.confidence for each in self.words) / max(len(self.words), 1)

    @property
    def score(self) -> Score | None:
        """Edit counts against the reference, or None without one."""
        return None if self.reference is None else score(self.reference, self.text)
