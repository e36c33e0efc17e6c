"""The MLLOG lines of a log as a pandas table.

>>> table = log_table("speech_ds2.out")
>>> table[table.key == "eval_accuracy"][["epoch_num", "value", "seconds"]]
"""

import json
from pathlib import Path

import pandas as pd

from speech_recognition.errors import InputError
from speech_recognition.files import read_input

TOKEN = ":::MLLOG "
"""Text in front of each record, by which mlperf_logging finds its lines."""

MOST_LINES = 100_000
"""Largest number of MLLOG lines that a log may have; 10,000 epochs, the most of training.epochs, write about 50,000."""

_LONGEST_LINE, _DEEPEST = 4_000, 100
"""Most characters and most brackets of a record."""

_LAST_MS = 253_402_300_800_000
"""End of the year 9999 in milliseconds since 1970."""

_MOST_COLUMNS = 1000
"""Largest number of different names in a log's metadata: each becomes a column over all lines."""

_COLUMNS = ("line", "time_ms", "seconds", "event_type", "key", "value")
"""Columns of every table; a name in the metadata that equals one of them is left out."""


def log_table(path: Path | str) -> pd.DataFrame:
    """Return a table with one row for each MLLOG line of a log, in the log's order.

    Columns: `line` (number in the file, from 1), `time_ms` (milliseconds since 1970), `seconds` (since run_start; NaN
    if the log has none), `event_type`, `key`, `value`, and one for each name in the lines' metadata, such as
    `epoch_num` and `status`, empty where a line lacks it. Text before ":::MLLOG " on a line is ignored, and so is a
    last line that was cut off when the run was killed. Raises InputError if the log cannot be read, has no MLLOG
    line, or has one that no run writes.
    """
    path, rows = Path(path), []
    for number, line in enumerate(read_log(path).splitlines(keepends=True), start=1):
        _, token, content = line.rpartition(TOKEN)
        if token and (line.endswith("\n") or content.endswith("}}")):
            rows.append({"line": number, **_parsed(path, number, content)})
    if not rows:
        raise InputError(f"{path}: no MLLOG lines; give the log of a run (speech_ds2.out)")
    if len({name for row in rows for name in row}) > _MOST_COLUMNS:
        raise InputError(
            f"{path}: has more than {_MOST_COLUMNS} names in its metadata, more than any run; give a different log"
        )
    table = pd.DataFrame(rows)
    starts = table.loc[table["key"] == "run_start", "time_ms"]
    start = starts.iloc[0] if len(starts) else float("nan")
    table.insert(2, "seconds", (table["time_ms"] - start) / 1000)
    return table


def run_seconds(path: Path) -> float:
    """Return the seconds from run_start to run_stop, or NaN if either is missing. Raises InputError as `log_table`."""
    return stop_seconds(log_table(path))


def stop_seconds(table: pd.DataFrame) -> float:
    """Return the seconds from run_start to run_stop in the table of a log, or NaN if either is missing."""
    stops = table.loc[table["key"] == "run_stop", "seconds"]
    return float(stops.iloc[0]) if len(stops) else float("nan")


def has_lines(path: Path) -> bool:
    """Return whether a log has a complete MLLOG line; False if the run was killed before it wrote one.

    Raises InputError if the log cannot be read.
    """
    return any(TOKEN in line and line.endswith("\n") for line in read_log(path).splitlines(keepends=True))


def read_log(path: Path, encoding: str = "utf-8") -> str:
    """Return the text of a log, with every line end as a newline.

    Raises InputError if the log cannot be read or has more than MOST_LINES MLLOG lines: the official checkers take
    milliseconds for each line, so a larger file would keep them busy for many minutes.
    """
    advice = "give the log of a run (speech_ds2.out)"
    content = read_input(path, advice)
    if content.count(TOKEN.encode()) > MOST_LINES:
        raise InputError(f"{path}: has more than {MOST_LINES:,} MLLOG lines, more than any run writes; {advice}")
    return content.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def check_line(content: str) -> None:
    """Raise ValueError if the record of an MLLOG line is longer or more deeply nested than any that a run writes.

    The official checkers take time proportional to the square of a line's length, and recurse into nested values.
    """
    if len(content) > _LONGEST_LINE:
        raise ValueError(f"it has more than {_LONGEST_LINE:,} characters")
    if content.count("[") + content.count("{") > _DEEPEST:
        raise ValueError(f"it has more than {_DEEPEST} brackets")


def _parsed(path: Path, number: int, content: str) -> dict[str, object]:
    """Return the columns of the record `content` on line `number`. Raises InputError if no run writes such a one."""
    try:
        check_line(content)
        record = json.loads(content)
        fields = {name: record[name] for name in ("time_ms", "event_type", "key", "value")}
        metadata, time = record["metadata"], fields["time_ms"]
        if type(fields["key"]) is not str or type(metadata) is not dict:
            raise ValueError("its key is not a string, or its metadata not an object")
        if type(time) not in (int, float) or not 0 <= time < _LAST_MS:
            raise ValueError("its time_ms is not a time in milliseconds since 1970")
        return fields | {name: value for name, value in metadata.items() if name not in _COLUMNS}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}, line {number}: not an MLLOG line of a run ({error}); check-log lists the faults of the log"
        ) from None
