"""Pandas tables from the CSV files in a run's folder. Every number is checked: a stranger may have written it."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from speech_recognition.errors import InputError
from speech_recognition.runs.csv_tables import read_table

_MOST = 1e12
"""Upper bound of all numbers, above anything that a run counts or measures."""


def read_epochs(path: Path) -> pd.DataFrame:
    """Return the rows of metrics.csv, one for each evaluation; none if there is no file.

    Raises InputError if epoch, wer or cer is missing, or if a value is not a number from 0. Other columns may be absent
    and have empty cells, which become NaN.
    """
    if not path.exists():
        return pd.DataFrame()
    rows = read_table(path)
    others = [name for name in (rows[0] if rows else ()) if name in _OTHERS or name.startswith("wer_")]
    frame = _frame(path, rows, numbers=("epoch", "wer", "cer"), maybe=others)
    if not frame.empty and ((frame["epoch"] % 1 != 0) | (frame["epoch"] > 10_000)).any():
        raise InputError(f"{path}: an epoch is not a whole number from 0 to 10000; remove the file")
    return frame.astype({"epoch": int})


_OTHERS = (
    "utterance_wer",
    "loss",
    "skipped_steps",
    "learning_rate",
    "seconds",
    "waiting_seconds",
    "saving_seconds",
    "audio_rate",
    "eval_seconds",
)


def read_utterances(path: Path) -> pd.DataFrame:
    """Return the rows of utterances.csv, one for each utterance of val; none if there is no file.

    Raises InputError if a column is missing, a value is not a number from 0, or an utterance has no words.
    """
    if not path.exists():
        return pd.DataFrame()
    texts = ("utterance_id", "subset", "speaker", "reference", "hypothesis")
    frame = _frame(path, read_table(path), texts=texts, numbers=("seconds", "words", "word_errors"))
    if (frame["words"] < 1).any():
        raise InputError(f"{path}: an utterance has no words; remove the file")
    return frame.astype({"words": int, "word_errors": int})


def _frame(
    path: Path,
    rows: Sequence[dict[str, str]],
    *,
    texts: Iterable[str] = (),
    numbers: Iterable[str] = (),
    maybe: Iterable[str] = (),
) -> pd.DataFrame:
    columns: dict[str, list[str] | np.ndarray] = {}
    try:
        columns |= {name: [row[name] for row in rows] for name in texts}
        columns |= {name: np.array([_number(name, row[name]) for row in rows], dtype=float) for name in numbers}
        columns |= {name: np.array([_maybe(name, row[name]) for row in rows], dtype=float) for name in maybe}
    except KeyError as error:
        raise InputError(f"{path}: has no column {error}; remove the file") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}; remove the file") from None
    return pd.DataFrame(columns)


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number <= _MOST:
        raise ValueError(f"{name} is {text!r}, must be a number from 0")
    return number


def _maybe(name: str, text: str) -> float:
    """Return the number in `text`, or NaN for "" and "nan".

    The loss is NaN if every step of the epoch was skipped; the row of the untrained model has no training figures.
    """
    return math.nan if text in ("", "nan") else _number(name, text)
