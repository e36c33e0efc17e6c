"""Whether two runs' error rates differ by more than the choice of utterances explains."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

_RESAMPLES = 10_000
_AT_ONCE = 500


@dataclass(frozen=True, kw_only=True)
class WerDifference:
    """Of two runs' WER in percentage points, the second's less the first's, over the utterances that both have."""

    utterances: int
    points: float
    low: float
    high: float
    """95% of the resampled differences lie between"""
    p_value: float
    """two-sided: how likely a difference of this sign would be by the choice of utterances alone"""


def difference(first: pd.DataFrame, second: pd.DataFrame) -> WerDifference | None:
    """The paired bootstrap over utterances (Bisani and Ney, ICASSP 2004), with the same draws every time.

    first, second: utterances.csv of each. None if they have no utterance of one text in common.
    """
    if first.empty or second.empty:
        return None
    both = first.merge(second, on=["utterance_id", "reference"], suffixes=("_first", "_second"))
    if both.empty:
        return None
    words = both["words_first"].to_numpy()
    errors = (both["word_errors_second"] - both["word_errors_first"]).to_numpy()
    drawn = _resampled(errors, words)
    low, high = np.percentile(drawn, [2.5, 97.5])
    one_side = min((drawn <= 0).mean(), (drawn >= 0).mean())
    return WerDifference(
        utterances=len(both),
        points=float(100 * errors.sum() / words.sum()),
        low=float(low),
        high=float(high),
        p_value=float(min(1.0, 2 * max(one_side, 1 / _RESAMPLES))),
    )


def _resampled(errors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Differences in percentage points over utterances drawn with replacement."""
    draw = np.random.default_rng(0)
    rates = []
    for _ in range(_RESAMPLES // _AT_ONCE):
        chosen = draw.integers(len(words), size=(_AT_ONCE, len(words)))
        rates.append(100 * errors[chosen].sum(axis=1) / words[chosen].sum(axis=1))
    return np.concatenate(rates)
