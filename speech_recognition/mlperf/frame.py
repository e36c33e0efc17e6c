"""A log's MLLOG lines as a table.

>>> frame = log_frame("speech_ds2.out")
>>> frame[frame.key == "eval_accuracy"][["epoch_num", "value", "seconds"]]
"""

import json
from pathlib import Path

import pandas as pd

from speech_recognition.errors import InputError

_TOKEN = ":::MLLOG "


def log_frame(path: Path | str) -> pd.DataFrame:
    """One row for each MLLOG line of a log, in its order; anything before the mark on a line is left out.

    Columns: `line` (from 1), `time_ms` (since 1970), `seconds` (since run_start; not a number without one),
    `event_type`, `key`, `value`, and one for each entry of the lines' metadata, such as `epoch_num` and
    `status`, empty where a line has none. A last line that a kill has cut is left out. Raises InputError if
    the log cannot be read or has no such line.
    """
    path, rows = Path(path), []
    for number, line in enumerate(_text(path).splitlines(keepends=True), start=1):
        _, token, content = line.rpartition(_TOKEN)
        if token and (line.endswith("\n") or content.endswith("}}")):
            rows.append({"line": number, **_parsed(path, number, content)})
    if not rows:
        raise InputError(f"{path}: no MLLOG lines; give the log of a run (speech_ds2.out)")
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
    return any(_TOKEN in line and line.endswith("\n") for line in _text(path).splitlines(keepends=True))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the log of a run (speech_ds2.out)") from None


def _parsed(path: Path, number: int, content: str) -> dict[str, object]:
    try:
        record = json.loads(content)
        fields = ("time_ms", "event_type", "key", "value")
        return {**{name: record[name] for name in fields}, **record["metadata"]}
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}, line {number}: no MLLOG line; check-log says what is wrong with the log") from None
