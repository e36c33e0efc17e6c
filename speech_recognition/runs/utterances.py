"""The table of val's utterances in a run's best epoch, `utterances.csv`: reference, recognised text, edit counts."""

from pathlib import Path
from typing import Any

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import InputError
from speech_recognition.evaluation import Evaluation
from speech_recognition.runs.csv_tables import checked, read_table, write_table
from speech_recognition.scoring import Score

_TEXTS = ("utterance_id", "subset", "speaker", "reference", "hypothesis")
_COUNTS = ("words", "word_errors")


def write_utterances(path: Path, evaluation: Evaluation) -> None:
    """Write a row for each utterance, in the order of the manifest, with its alternatives if there are any."""
    columns = zip(evaluation.utterances, evaluation.hypotheses, evaluation.scores, strict=True)
    rows = [_row(utterance, text, score) for utterance, text, score in columns]
    for row, texts, best in zip(rows, evaluation.alternatives, evaluation.oracle, strict=False):
        row |= {"oracle_word_errors": best.word_errors}
        row |= {f"hypothesis_{rank}": text for rank, text in enumerate(texts[1:], start=2)}
    write_table(path, rows)


def _row(utterance: Utterance, hypothesis: str, score: Score) -> dict[str, object]:
    return {
        "utterance_id": utterance.id,
        "subset": utterance.subset,
        "speaker": utterance.speaker,
        "seconds": utterance.seconds,
        "reference": utterance.transcript,
        "hypothesis": hypothesis,
        "words": score.words,
        "word_errors": score.word_errors,
        "characters": score.characters,
        "character_errors": score.character_errors,
    }


def read_utterances(path: Path) -> list[dict[str, Any]]:
    """Return the rows, without the counts of characters; an empty list if there is no file.

    Raises InputError if a column is missing, a value is not a number from 0, or an utterance has no words: its word
    error rate would be a division by 0.
    """
    if not path.exists():
        return []
    rows = checked(path, read_table(path), texts=_TEXTS, numbers=("seconds", *_COUNTS))
    if any(row["words"] < 1 for row in rows):
        raise InputError(f"{path}: an utterance has no words; remove the file")
    return [row | {name: int(row[name]) for name in _COUNTS} for row in rows]
