"""The table of a run's steps, `steps.csv`: the sums of the epoch so far, after every tenth step.

Every row holds sums since the epoch's first step: the difference of two rows is the sum over the steps between them.
"""

import csv
from pathlib import Path

from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write, read_input
from speech_recognition.runs.csv_tables import LAST_EPOCH, number
from speech_recognition.runs.tally import Tally

_EVERY = 10  # steps: 219 rows for an epoch of `reference`, of 0.14 ms each
_COLUMNS = list(vars(Tally()))


class StepTable:
    """Writer of the table. It closes the file after each row, so that a kill of the process loses none."""

    def __init__(self, path: Path, reached: Tally) -> None:
        """Write the table anew with its rows up to the step that `reached` counts; the run repeats later steps."""
        self._path = path
        kept = [row for row in read_steps(path) if (row["epoch"], row["steps"]) <= (reached.epoch, reached.steps)]
        with atomic_write(self._path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=_COLUMNS)
            writer.writeheader()
            writer.writerows(kept)

    def after_step(self, tally: Tally) -> None:
        """Add a row if `tally` counts a multiple of ten steps."""
        if tally.steps % _EVERY == 0:
            with self._path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, fieldnames=_COLUMNS).writerow(vars(tally))


def read_steps(path: Path) -> list[dict[str, float]]:
    """Return the rows; an empty list if there is no file. A last row that a kill has cut is left out.

    Raises InputError if the columns are not those of `Tally`, or if a row before the last is not of a run.
    """
    if not path.exists():
        return []
    text = read_input(path, "remove it").decode(errors="replace")
    try:
        header, *lines = [line for line in csv.reader(text.splitlines()) if line] or [[]]
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as a table ({error}); remove it") from None
    if header != _COLUMNS:
        raise InputError(f"{path}: has other columns than this version writes; remove it")
    rows = [_row(line) for line in lines]
    if None in rows[:-1]:
        raise InputError(f"{path}: row {rows.index(None) + 1} is not of a run; remove it")
    return [row for row in rows if row]


def _row(line: list[str]) -> dict[str, float] | None:
    """Return the numbers of a row by column, or None if one is missing or is not a number that a run writes."""
    try:
        row = {name: number(name, cell) for name, cell in zip(_COLUMNS, line, strict=True)}
    except ValueError:
        return None
    return row if row["epoch"] <= LAST_EPOCH else None
