"""Tests of the table of training steps."""

from pathlib import Path

import pytest

from speech_recognition.errors import InputError
from speech_recognition.runs.steps import StepTable, read_steps
from speech_recognition.runs.tally import Tally


def run(folder: Path, reached: Tally, epoch: int, last: int) -> None:
    """Steps after `reached` up to number `last` of an epoch, as a run makes them."""
    table = StepTable(folder / "steps.csv", reached)
    for step in range(reached.steps % 100 + 1, last + 1):
        table.after_step(Tally(epoch=epoch, steps=step, loss=2.5 * step, seconds=0.5 * step))


def numbers(folder: Path) -> list[tuple[float, float]]:
    return [(row["epoch"], row["steps"]) for row in read_steps(folder / "steps.csv")]


def test_every_tenth_step_has_a_row(tmp_path: Path) -> None:
    run(tmp_path, Tally(), 1, 35)
    assert numbers(tmp_path) == [(1, 10), (1, 20), (1, 30)]
    assert read_steps(tmp_path / "steps.csv")[1]["loss"] == 50.0
    assert set(read_steps(tmp_path / "steps.csv")[0]) == set(vars(Tally()))


def test_a_run_that_goes_on_has_every_step_once(tmp_path: Path) -> None:
    run(tmp_path, Tally(), 1, 45)
    path = tmp_path / "steps.csv"
    path.write_text(path.read_text() + "1,50,0,0,3")  # a kill cut the row
    run(tmp_path, Tally(epoch=1, steps=25), 1, 40)
    assert numbers(tmp_path) == [(1, 10), (1, 20), (1, 30), (1, 40)]


def test_a_run_that_begins_anew_forgets_what_was_there(tmp_path: Path) -> None:
    run(tmp_path, Tally(), 2, 20)
    run(tmp_path, Tally(), 1, 10)
    assert numbers(tmp_path) == [(1, 10)]


def test_no_table_has_no_rows(tmp_path: Path) -> None:
    assert read_steps(tmp_path / "steps.csv") == []


@pytest.mark.parametrize(("content", "message"), [
    ("", "other columns"),
    ("epoch,steps\n1,10\n", "other columns"),
    ("{header}1,nan,0,0,0,0,0,0,0,0,0\n{row}", "row 1 is not of a run"),
    ("{header}{row}1,-20,0,0,0,0,0,0,0,0,0\n{row}", "row 2 is not of a run"),
    ("{header}1,10\n{row}", "row 1 is not of a run"),
])  # fmt: skip
def test_a_table_that_is_none_of_a_run_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    run(tmp_path, Tally(), 1, 10)
    path = tmp_path / "steps.csv"
    header, row = path.read_text().splitlines(keepends=True)
    path.write_text(content.format(header=header, row=row))
    with pytest.raises(InputError, match=rf"steps\.csv: .*{message}"):
        read_steps(tmp_path / "steps.csv")
