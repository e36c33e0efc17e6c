"""Beam search: the likeliest text over all of its CTC paths, with a language model if there is one.

With a language model, only words that it knows are written. The score of a text is

    log P(text | audio) + alpha * log P(text) + beta * words

in natural logarithms, as in Amodei et al. 2016, section 3.8; flashlight-text searches.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from speech_recognition.alphabet import BLANK, SYMBOLS, decode, encode
from speech_recognition.decoding.language_model import LanguageModel

ALPHA, BETA = 0.5, 1.0
"""Default weights of the language model and of a word."""

WIDTH = 100
"""Default number of hypotheses that are kept."""

_SPACE = SYMBOLS.index(" ")

_UNLIKELY = -1e4
"""Logarithm that rules a symbol out; infinity would make sums of scores undefined."""

_CANDIDATES = 12
"""Symbols of an output frame, the likeliest ones, with which a hypothesis can go on; more take time and change no text
of val."""

_THRESHOLD = 20.0
"""Distance from the best score, in nats, beyond which a hypothesis is dropped even if the beam has room."""


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """A text that the search found."""

    text: str
    """Words in capitals."""
    score: float
    """Score in nats; the differences between hypotheses of one utterance matter."""
    path: list[int]
    """Symbol id of each output frame on the likeliest path of the text; BLANK between symbols."""


@dataclass(frozen=True, kw_only=True)
class BeamSearch:
    """A decoder: called as `greedy`, it returns each utterance's likeliest text."""

    width: int = WIDTH
    """Number of hypotheses that are kept."""
    language_model: LanguageModel | None = None
    """Language model; None searches among all texts."""
    alpha: float = ALPHA
    """Weight of the language model."""
    beta: float = BETA
    """Score of each word (only with a language model)."""

    def __call__(self, log_probs: Tensor, lengths: Tensor) -> list[str]:
        """Return each utterance's text. log_probs: [t, b, symbol]; lengths: [b], in output frames."""
        return [found[0].text for found in self.hypotheses(log_probs, lengths, 1)]

    def hypotheses(self, log_probs: Tensor, lengths: Tensor, count: int) -> list[list[Hypothesis]]:
        """Return up to `count` different texts for each utterance, the likeliest first; at least one, maybe empty.

        log_probs: [t, b, symbol]; lengths: [b], in output frames.
        """
        rows = log_probs.detach().float().cpu().transpose(0, 1)
        return [self._search(row[:length], count) for row, length in zip(rows, lengths.tolist(), strict=True)]

    def _search(self, log_probs: Tensor, count: int) -> list[Hypothesis]:
        """Return up to `count` texts for one utterance's `log_probs` [t, symbol]."""
        frames = len(log_probs)
        if self.language_model:
            # Words end in a space, which nobody says after the last one.
            end = torch.full((1, len(SYMBOLS)), _UNLIKELY)
            end[0, _SPACE] = 0.0
            log_probs = torch.cat([log_probs, end])
        log_probs = log_probs.contiguous()
        found = self._decoder.decode(log_probs.data_ptr(), *log_probs.shape) if frames > 0 else []
        texts: dict[str, Hypothesis] = {}  # the library tells apart texts that differ in their spaces alone
        for each in found:
            text = self._text(path := each.tokens[1 : frames + 1], each.words)  # without a symbol before the first
            texts.setdefault(text, Hypothesis(text=text, score=each.score, path=path))
        return [*texts.values()][:count] or [Hypothesis(text="", score=0.0, path=[BLANK] * frames)]

    def _text(self, path: list[int], words: list[int]) -> str:
        """Return the text of a path of symbols or, with a language model, of the words that it knows (-1: none)."""
        if self.language_model:
            return " ".join(self.language_model.words[word] for word in words if word >= 0).upper()
        spoken = (symbol for before, symbol in zip([BLANK, *path], path, strict=False) if symbol not in (before, BLANK))
        return " ".join(decode(spoken).split())

    @cached_property
    def _decoder(self) -> Any:
        """Return the library's decoder for these options."""
        from flashlight.lib.text import decoder as library

        options: dict[str, Any] = {
            "beam_size": self.width,
            "beam_size_token": _CANDIDATES,
            "beam_threshold": _THRESHOLD,
            "lm_weight": self.alpha * math.log(10),  # KenLM's logarithms are those to the base of 10
            "sil_score": 0.0,
            "log_add": True,  # a text's probability is the sum over its paths
            "criterion_type": library.CriterionType.CTC,
        }
        if not self.language_model:
            free = library.LexiconFreeDecoderOptions(**options)
            return library.LexiconFreeDecoder(free, library.ZeroLM(), _SPACE, BLANK, [])
        kenlm, words = self.language_model.kenlm, self.language_model.words
        spelling = library.Trie(len(SYMBOLS), _SPACE)
        start = kenlm.start(False)
        for index, word in enumerate(words):
            spelling.insert([*encode(word.upper()), _SPACE], index, kenlm.score(start, index)[1])
        spelling.smear(library.SmearingMode.MAX)  # a word counts from its first letter on, at its best continuation
        chosen = library.LexiconDecoderOptions(word_score=self.beta, unk_score=-math.inf, **options)
        return library.LexiconDecoder(chosen, spelling, kenlm, _SPACE, BLANK, len(words), [], False)
