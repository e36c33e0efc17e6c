"""CSV tables for people to open: no text of a dataset is a formula to the program that shows it."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write, read_input

_FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""How a cell begins that a spreadsheet would compute, or that `guarded` has put an apostrophe before."""


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write the rows under a header of all their names; texts that look like a formula are `guarded`."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO(newline="")
    lines: list[list[object]] = [[*names], *([row.get(name, "") for name in names] for row in rows)]
    for cells in lines:
        csv.writer(text).writerow([guarded(cell) if isinstance(cell, str) else cell for cell in cells])
    with atomic_write(path) as partial:
        partial.write_text(text.getvalue(), encoding="utf-8", errors="backslashreplace", newline="")


def read_table(path: Path) -> list[dict[str, str]]:
    """Return the rows as they were before `write_table`. Raises InputError, naming the file, if it is no such table."""
    advice = "remove it"
    content = read_input(path, advice)
    try:
        lines = [line for line in csv.reader(io.StringIO(content.decode(), newline=""), strict=True) if line]
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); {advice}") from None
    if not lines:
        raise InputError(f"{path}: cannot be read as a table (it is empty); {advice}")
    if any(len(line) != len(lines[0]) for line in lines):
        raise InputError(f"{path}: cannot be read as a table (a row has another length than the header); {advice}")
    names, *rows = [[unguarded(cell) for cell in line] for line in lines]
    return [dict(zip(names, row, strict=True)) for row in rows]


def guarded(text: str) -> str:
    """Return `text` with an apostrophe before it if a spreadsheet would take it for a formula, such as =1+1."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguarded(cell: str) -> str:
    """Return the text that `guarded` made `cell` of."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
