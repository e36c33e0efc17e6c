"""The table of val's utterances."""

from dataclasses import replace
from pathlib import Path

import pytest

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import InputError
from speech_recognition.evaluation import Evaluation
from speech_recognition.runs.csv_tables import read_table
from speech_recognition.runs.utterances import read_utterances, write_utterances

SAID, HEARD = ["THE CAT SAT", "'TIS SO"], ["THE CAT", "=1+1"]


@pytest.fixture
def evaluation() -> Evaluation:
    """Return the evaluation of two utterances."""
    utterances = [
        Utterance(f"{number}-1-0", Path("a.wav"), None, text, 1.5, 24_000, f"00{number}", "dev-mini", 1)
        for number, text in enumerate(SAID)
    ]
    return Evaluation.of(utterances, HEARD)


@pytest.fixture
def table(tmp_path: Path, evaluation: Evaluation) -> Path:
    """Return the table of the evaluation."""
    write_utterances(tmp_path / "utterances.csv", evaluation)
    return tmp_path / "utterances.csv"


def test_every_utterance_has_a_row_with_its_counts(table: Path) -> None:
    assert table.read_text().splitlines() == [
        "utterance_id,subset,speaker,seconds,reference,hypothesis,words,word_errors,characters,character_errors",
        "0-1-0,dev-mini,000,1.5,THE CAT SAT,THE CAT,3,1,11,4",
        "1-1-0,dev-mini,001,1.5,'TIS SO,'=1+1,2,2,7,7",
    ]


def test_alternatives_stand_in_columns_of_their_own(tmp_path: Path, evaluation: Evaluation) -> None:
    path = tmp_path / "rows.csv"
    write_utterances(path, replace(evaluation, alternatives=[["THE CAT", "A CAT", "THE CAT SAT"], ["=1+1"]]))
    one, other = read_table(path)
    assert (one["oracle_word_errors"], one["hypothesis_2"], one["hypothesis_3"]) == ("0", "A CAT", "THE CAT SAT")
    assert (other["oracle_word_errors"], other["hypothesis_2"]) == ("2", "")
    assert [row["hypothesis"] for row in read_utterances(path)] == HEARD


def test_what_was_said_and_heard_comes_back(table: Path) -> None:
    rows = read_utterances(table)
    assert [(row["reference"], row["hypothesis"]) for row in rows] == list(zip(SAID, HEARD, strict=True))
    assert rows[0] == {
        "utterance_id": "0-1-0",
        "subset": "dev-mini",
        "speaker": "000",
        "seconds": 1.5,
        "reference": "THE CAT SAT",
        "hypothesis": "THE CAT",
        "words": 3,
        "word_errors": 1,
    }


def test_a_run_without_a_table_has_no_rows(tmp_path: Path) -> None:
    assert read_utterances(tmp_path / "utterances.csv") == []


@pytest.mark.parametrize(("old", "new", "message"), [
    ("speaker", "speakers", "has no column 'speaker'"),
    (",3,1,", ",0,1,", "an utterance has no words"),
    (",3,1,", ",3,-1,", "word_errors is '-1', must be a number from 0"),
    (",1.5,", ",nan,", "seconds is 'nan', must be a number from 0"),
])  # fmt: skip
def test_a_table_that_no_run_writes_is_refused_by_name(table: Path, old: str, new: str, message: str) -> None:
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(InputError, match=rf"utterances\.csv: {message}"):
        read_utterances(table)
