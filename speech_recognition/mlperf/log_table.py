"""A log's MLLOG lines as a table.

>>> frame = log_frame("speech_ds2.out")
>>> frame[frame.key == "eval_accuracy"][["epoch_num", "value", "seconds"]]
"""

import json
from pathlib import Path

import pandas as pd

from speech_recognition.errors import InputError
from speech_recognition.files import read_input

TOKEN = ":::MLLOG "
MOST_LINES = 100_000
"""MLLOG lines of a log that is read: a run of the 10,000 epochs that training.epochs allows has half of them."""

_LONGEST_LINE, _DEEPEST = 4_000, 100
_LAST_MS = 253_402_300_800_000
"""The end of the year 9999."""
_MOST_COLUMNS = 1000
_COLUMNS = ("line", "time_ms", "seconds", "event_type", "key", "value")


def log_frame(path: Path | str) -> pd.DataFrame:
    """One row for each MLLOG line of a log, in its order; anything before the mark on a line is left out.

    Columns: `line` (from 1), `time_ms` (since 1970), `seconds` (since run_start; not a number without one),
    `event_type`, `key`, `value`, and one for each entry of the lines' metadata, such as `epoch_num` and
    `status`, empty where a line has none. A last line that a kill has cut is left out. Raises InputError if
    the log cannot be read or has no such line.
    """
    path, rows = Path(path), []
    for number, line in enumerate(read_log(path).splitlines(keepends=True), start=1):
        _, token, content = line.rpartition(TOKEN)
        if token and (line.endswith("\n") or content.endswith("}}")):
            rows.append({"line": number, **_parsed(path, number, content)})
    if not rows:
        raise InputError(f"{path}: no MLLOG lines; give the log of a run (speech_ds2.out)")
    if len({name for row in rows for name in row}) > _MOST_COLUMNS:
        raise InputError(f"{path}: has more than {_MOST_COLUMNS} names of metadata, as no run has; give another log")
    frame = pd.DataFrame(rows)
    starts = frame.loc[frame["key"] == "run_start", "time_ms"]
    start = starts.iloc[0] if len(starts) else float("nan")
    frame.insert(2, "seconds", (frame["time_ms"] - start) / 1000)
    return frame


def run_seconds(path: Path) -> float:
    """From run_start to run_stop of a log; not a number where one of them is missing. Raises InputError as above."""
    frame = log_frame(path)
    stops = frame.loc[frame["key"] == "run_stop", "seconds"]
    return float(stops.iloc[0]) if len(stops) else float("nan")


def has_lines(path: Path) -> bool:
    """Whether a log has any MLLOG line that is whole: not, if its run was killed too early. Raises InputError."""
    return any(TOKEN in line and line.endswith("\n") for line in read_log(path).splitlines(keepends=True))


def read_log(path: Path, encoding: str = "utf-8") -> str:
    """Return the text of a log, every line's end a newline.

    Raises InputError if it cannot be read, or has more MLLOG lines than any run writes: the official checkers take
    milliseconds for each.
    """
    advice = "give the log of a run (speech_ds2.out)"
    content = read_input(path, advice)
    if content.count(TOKEN.encode()) > MOST_LINES:
        raise InputError(f"{path}: has more than {MOST_LINES:,} MLLOG lines, as no run has; {advice}")
    return content.decode(encoding, errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def check_line(content: str) -> None:
    """Raise ValueError if the record of an MLLOG line is larger than ours: the official checkers search it in squares
    of its length, and print it, nested as it may be."""
    if len(content) > _LONGEST_LINE:
        raise ValueError(f"it has more than {_LONGEST_LINE:,} characters")
    if content.count("[") + content.count("{") > _DEEPEST:
        raise ValueError(f"it has more than {_DEEPEST} brackets")


def _parsed(path: Path, number: int, content: str) -> dict[str, object]:
    try:
        check_line(content)
        record = json.loads(content)
        fields = {name: record[name] for name in ("time_ms", "event_type", "key", "value")}
        metadata, time = record["metadata"], fields["time_ms"]
        if type(fields["key"]) is not str or type(metadata) is not dict:
            raise ValueError("its key is no text, or its metadata no object")
        if type(time) not in (int, float) or not 0 <= time < _LAST_MS:
            raise ValueError("its time_ms is no time since 1970")
        return fields | {name: value for name, value in metadata.items() if name not in _COLUMNS}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}, line {number}: no MLLOG line of a run ({error}); check-log says what is wrong with the log"
        ) from None
