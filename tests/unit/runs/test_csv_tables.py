"""Tests of reading and writing CSV tables."""

import csv
import math
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from speech_recognition.errors import InputError
from speech_recognition.runs.csv_tables import checked, guarded, number, read_table, unguarded, write_table

TEXTS = st.text() | st.text("'=+-@\t\r\n A")


@given(TEXTS)
@example("'=1+1")
@example("'CAUSE")
def test_no_text_is_a_formula_and_every_text_comes_back(text: str) -> None:
    cell = guarded(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert unguarded(cell) == text


def test_only_what_a_spreadsheet_would_compute_is_changed() -> None:
    texts = ["THE CAT", "'CAUSE", "", "1-1-0001", "=1+1", "-2", "@A1", "'=1"]
    assert [guarded(text) for text in texts] == [*texts[:4], "'=1+1", "'-2", "'@A1", "''=1"]


@given(rows=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4))
def test_a_table_is_read_as_it_was_written(
    rows: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("tables") / "table.csv"
    written = [{"=name": one, "other": other} for one, other in rows]
    write_table(path, written)
    assert read_table(path) == written


def test_numbers_stay_numbers(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv", [{"name": "a", "number": -1.5, "none": None}])
    with (tmp_path / "table.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["name", "number", "none"], ["a", "-1.5", ""]]


@pytest.mark.parametrize("content", [b"", b"a,b\n1\n", b'a\n"1\n', b"\xff\n"])
def test_what_is_no_table_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"table\.csv: cannot be read as a table"):
        read_table(tmp_path / "table.csv")


def test_checked_columns_are_texts_and_numbers() -> None:
    rows = [{"name": "7", "count": "3", "rate": "0.5"}, {"name": "", "count": "0", "rate": ""}]
    first, second = checked(Path("table.csv"), rows, texts=["name"], numbers=["count"], optional=["rate"])
    assert first == {"name": "7", "count": 3.0, "rate": 0.5}
    assert (second["name"], second["count"]) == ("", 0.0) and math.isnan(second["rate"])


@pytest.mark.parametrize("cell", ["", "nan", "-1", "inf", "1e13", "many"])
def test_a_required_cell_that_is_no_number_of_a_run_is_refused_by_name(cell: str) -> None:
    with pytest.raises(InputError, match=rf"table\.csv: count is '{cell}', must be a number from 0; remove the file"):
        checked(Path("table.csv"), [{"count": "1"}, {"count": cell}], numbers=["count"])


def test_the_bounds_are_numbers_of_a_run() -> None:
    assert (number("count", "0"), number("count", "1e12")) == (0, 1e12)


def test_a_column_that_is_missing_is_named() -> None:
    with pytest.raises(InputError, match=r"table\.csv: has no column 'count'; remove the file"):
        checked(Path("table.csv"), [{"name": "a"}], numbers=["count"])
