"""CSV tables: written so that no spreadsheet computes a text as a formula, and read with every number checked."""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write, read_input

LAST_EPOCH = 10_000
"""Highest epoch that a table may have, the largest value of `training.epochs`."""

_LARGEST = 1e12
"""Upper bound of every number in a table: 30,000 years in seconds, above anything that a run counts or measures."""

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""Start of a cell that a spreadsheet would compute, with any apostrophes that stand before it."""


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write a header with the names of all rows, then the rows; a cell is empty where a row lacks the name.

    Texts are `guarded` against spreadsheets. The file replaces an old one as a whole.
    """
    # A dictionary keeps the order of the first appearance, which a set would not.
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    lines: list[list[object]] = [[*names], *([row.get(name, "") for name in names] for row in rows)]
    for cells in lines:
        csv.writer(text).writerow([guarded(cell) if isinstance(cell, str) else cell for cell in cells])
    with atomic_write(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace", newline="")


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table as texts, without the apostrophes of `guarded`.

    Raises InputError, which names the file, unless it is CSV in UTF-8 with a header and rows of the header's length.
    """
    advice = "remove it"
    content = read_input(path, advice)
    try:
        # newline="": a text in quotes keeps its line ends.
        lines = [line for line in csv.reader(io.StringIO(content.decode(), newline=""), strict=True) if line]
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); {advice}") from None
    if not lines:
        raise InputError(f"{path}: cannot be read as a table (it is empty); {advice}")
    if any(len(line) != len(lines[0]) for line in lines):
        raise InputError(f"{path}: cannot be read as a table (a row and the header differ in length); {advice}")
    names, *rows = [[unguarded(cell) for cell in line] for line in lines]
    return [dict(zip(names, row, strict=True)) for row in rows]


def checked(
    path: Path,
    rows: Sequence[Mapping[str, str]],
    *,
    texts: Iterable[str] = (),
    numbers: Iterable[str] = (),
    optional: Iterable[str] = (),
) -> list[dict[str, Any]]:
    """Return the named columns of `rows`, read from `path`: texts as they are, numbers as floats.

    An empty cell of an `optional` column of numbers becomes NaN. Raises InputError, which names `path`, if a column is
    missing or a value is not a number from 0 to 1e12: somebody else may have written the file.
    """
    columns: dict[str, list[Any]] = {}
    try:
        columns |= {name: [row[name] for row in rows] for name in texts}
        columns |= {name: [number(name, row[name]) for row in rows] for name in numbers}
        columns |= {name: [_number_or_nan(name, row[name]) for row in rows] for name in optional}
    except KeyError as error:
        raise InputError(f"{path}: has no column {error}; remove the file") from None
    except ValueError as error:
        raise InputError(f"{path}: {error}; remove the file") from None
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def number(name: str, cell: str) -> float:
    """Return the number in a cell of the column `name`. Raises ValueError unless it is from 0 to 1e12."""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value <= _LARGEST:  # NaN fails too
        raise ValueError(f"{name} is {cell!r}, must be a number from 0")
    return value


def _number_or_nan(name: str, cell: str) -> float:
    """Return the number in a cell, or NaN if it is empty or "nan".

    The loss is NaN if every step of the epoch was skipped; the row of the untrained model has no training figures.
    """
    return math.nan if cell in ("", "nan") else number(name, cell)


def guarded(text: str) -> str:
    """Return `text` with an apostrophe before it if a spreadsheet would take it for a formula, such as =1+1.

    A text that already has apostrophes before a formula gets one more, so that `unguarded` restores every text.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """Return the text from which `guarded` made `cell`."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
