"""The significance of the difference between two runs' word error rates."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

_RESAMPLES = 10_000
_AT_ONCE = 500  # samples drawn together: their indices of the 5,567 utterances of LibriSpeech's dev take 22 MB


@dataclass(frozen=True, kw_only=True)
class WerDifference:
    """Difference of two runs' WER, the second's minus the first's, over the utterances that both have."""

    utterances: int
    """Number of utterances that both runs have."""
    points: float
    """Difference in percentage points."""
    low: float
    """Lower bound of the 95% interval of the resampled differences, in percentage points."""
    high: float
    """Upper bound of the same interval."""
    p_value: float
    """Two-sided p-value of the hypothesis that the two rates are equal."""


def difference(first: pd.DataFrame, second: pd.DataFrame) -> WerDifference | None:
    """Return the difference of two runs' WER by the paired bootstrap over utterances (Bisani and Ney, ICASSP 2004).

    `first` and `second` are the rows of the runs' utterances.csv; the result is None if they have no utterance with
    the same reference in common. The draws have a fixed seed, so equal tables have equal results.
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
        # If no sample lies on the other side of 0, the p-value is below 1 in 10,000, but not 0.
        p_value=float(min(1.0, 2 * max(one_side, 1 / _RESAMPLES))),
    )


def _resampled(errors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return the WER differences, in percentage points, of 10,000 samples of the utterances with replacement."""
    draw = np.random.default_rng(0)
    rates = []
    for _ in range(_RESAMPLES // _AT_ONCE):
        chosen = draw.integers(len(words), size=(_AT_ONCE, len(words)))
        rates.append(100 * errors[chosen].sum(axis=1) / words[chosen].sum(axis=1))
    return np.concatenate(rates)
