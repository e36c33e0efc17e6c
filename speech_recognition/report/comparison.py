"""The tables of parameters and systems: first the rows that a reader looks for, then all others."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from speech_recognition.report.record import Record


class Row(NamedTuple):
    """Name with its value in each run."""

    name: str
    values: list[str]
    preset: str = ""
    """Value in the preset; "" if the runs have different presets."""


class Table(NamedTuple):
    """Rows of a table in two parts."""

    first: list[Row]
    """Rows whose values differ from the preset or between the runs."""
    others: list[Row]


def parameters(records: Sequence[Record]) -> Table:
    """Return the parameters.

    The dataset with the checksum in the log, or why there is none, stands in place of data.dataset, which is only a
    folder.
    """
    columns = [{"dataset": record.dataset} | record.parameters for record in records]
    one_preset = len({record.parameters["preset"] for record in records}) == 1
    changed = {name for record in records for name in record.changed}
    table = Table([], [])
    for name in (each for each in _names(columns) if each != "data.dataset"):
        values = [str(each.get(name, "")) for each in columns]
        preset = str(records[0].changed.get(name, columns[0][name])) if one_preset and name != "dataset" else ""
        (table.first if name in changed or len(set(values)) > 1 else table.others).append(Row(name, values, preset))
    return table


def systems(records: Sequence[Record]) -> Table:
    """Return the descriptions of the runs' machines, without the fields that are empty in all."""
    columns = [record.system for record in records]
    rows = [Row(name, [each.get(name, "") for each in columns]) for name in _names(columns)]
    rows = [row for row in rows if any(row.values)]
    first = [row for row in rows if len(set(row.values)) > 1]
    return Table(first, [row for row in rows if row not in first])


def _names(columns: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of all columns, in the order of their first appearance."""
    return list(dict.fromkeys(name for each in columns for name in each))
