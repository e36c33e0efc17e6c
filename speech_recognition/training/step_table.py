"""A run's table of steps, `steps.csv`: what each epoch has given and taken so far, after every tenth step.

Every row holds sums from the epoch's first step on, so that two rows give a mean over the steps between them.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from speech_recognition.files import atomic_write
from speech_recognition.training.tally import Tally

STEPS_NAME = "steps.csv"
_EVERY = 10
_COLUMNS = list(vars(Tally()))


class StepTable:
    """Appends rows; each is with the operating system when `after_step` returns, so that no kill loses it."""

    def __init__(self, folder: Path, reached: Tally) -> None:
        """Go on in the table of `folder` after the step that `reached` counts; rows after that were lost in a kill."""
        self._path = folder / STEPS_NAME
        kept = [row for row in read_steps(folder) if (row["epoch"], row["steps"]) <= (reached.epoch, reached.steps)]
        with atomic_write(self._path) as partial, partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=_COLUMNS)
            writer.writeheader()
            writer.writerows(kept)

    def after_step(self, tally: Tally) -> None:
        """Add a row, if it is time for one."""
        if tally.steps % _EVERY == 0:
            with self._path.open("a", newline="") as file:
                csv.DictWriter(file, fieldnames=_COLUMNS).writerow(vars(tally))


def read_steps(folder: Path) -> list[dict[str, float]]:
    """The rows of a run's table; none where there is no table. A row that a kill has cut is left out."""
    path = folder / STEPS_NAME
    return list(_whole_rows(path)) if path.is_file() else []


def _whole_rows(path: Path) -> Iterator[dict[str, float]]:
    with path.open(newline="", errors="replace") as file:
        for row in csv.DictReader(file):
            values: dict[str, Any] = {name: row.get(name) for name in _COLUMNS}
            try:
                yield {name: float(value) for name, value in values.items()}
            except (TypeError, ValueError):
                continue
