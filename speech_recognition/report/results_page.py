"""The table of runs on a page of results (docs/RESULTS.md): a row for each run, read from the run's folder."""

import re
from collections.abc import Sequence
from pathlib import Path

from speech_recognition.errors import InputError, one_line
from speech_recognition.files import atomic_write, held, read_input, resolved
from speech_recognition.report import headline
from speech_recognition.report.phases import total_seconds
from speech_recognition.report.record import Record
from speech_recognition.runs.folder import RunFolder

COLUMNS = (
    "machine",
    "preset",
    "seed",
    "precision",
    "processes",
    "epochs",
    "WER",
    "target",
    "seconds",
    "audio s/s",
    "began",
    "commit",
    "command",
)
"""Columns of the table, the command last."""

_DASHES = re.compile(r"\|( *:?-+:? *\|)+")


def append_rows(page: Path, records: Sequence[Record], command: str | None = None) -> list[str]:
    """Add a row for each run to the table of runs on `page`, and return the rows.

    The table is sorted by machine, then by preset, both in the order of their first rows. The rows have `command`, or
    else the command that each run's folder holds. Raises InputError, and leaves the page as it is, if it has no table
    of runs, if a row is there already, or as `row` does.
    """
    _text(page)  # refuses a page that cannot be read, before its folder is locked
    # Locked from reading to writing: else a second program would overwrite the rows that the first one added.
    with held(resolved(page).parent, f"{page}: another program is adding rows to it; run again"):
        return _append_rows(page, records, command)


def _append_rows(page: Path, records: Sequence[Record], command: str | None) -> list[str]:
    """Do what `append_rows` does; expects the page's folder to be locked."""
    text = _text(page)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.replace("\r\n", "\n").split("\n")
    first = _first_row(page, lines)
    last = next((place for place in range(first, len(lines)) if not lines[place].lstrip().startswith("|")), len(lines))
    cells = [_cells(page, place + 1, lines[place]) for place in range(first, last)]
    added = []
    for record in records:
        added.append(row(record, command))
        if added[-1][:-1] in [each[:-1] for each in cells]:
            raise InputError(f"{record.folder}: its row is in {page} already; leave the run out")
        cells.append(added[-1])
    machines, presets = ([each[column] for each in cells] for column in (0, 1))
    cells.sort(key=lambda each: (machines.index(each[0]), presets.index(each[1])))
    lines[first:last] = [_line(each) for each in cells]
    with atomic_write(page) as partial:
        partial.write_bytes(newline.join(lines).encode())
    return [_line(each) for each in added]


def row(record: Record, command: str | None = None) -> list[str]:
    """Return the cells of a run's row, with `command` or else the command that its folder holds.

    Raises InputError for a run that has not ended, was stopped early or was resumed, and for one whose folder lacks the
    machine, the seed, the start, the table of epochs or the command.
    """
    _check_whole(record)
    machine = headline.hardware(record.system)
    if not machine:
        raise InputError(f"{record.folder}: has no description of the machine (system.json); leave the run out")
    assert record.best is not None
    cells = (
        machine,
        record.parameters["preset"],
        record.seed,
        record.parameters["model.precision"],
        record.processes,
        record.last_epoch,
        f"{record.best['wer']:.2f}",
        headline.target(record),
        f"{total_seconds(record):.0f}",
        "" if record.audio_rate is None else f"{record.audio_rate:.0f}",
        headline.began(record),
        headline.commit(record.system) or "unknown",
        _as_code(command or _command(record)),
    )
    return [one_line("" if cell is None else str(cell)).strip().replace("|", r"\|") for cell in cells]


def _check_whole(record: Record) -> None:
    """Raise InputError unless the run ended by itself, at its target or after its last epoch, and in one piece."""
    if not record.ended:
        raise InputError(f"{record.folder}: the run has not ended; add it when it has")
    if record.last_epoch is None:
        raise InputError(f"{record.folder}: has no epoch in metrics.csv; leave the run out")
    if record.seed is None or not headline.began(record):
        raise InputError(f"{record.folder}: the log lacks the seed or run_start; leave the run out")
    most = record.parameters["training.epochs"]
    if not record.reached_target and record.last_epoch < most:
        raise InputError(
            f"{record.folder}: the run was stopped after epoch {record.last_epoch} of {most}; leave it out"
        )
    if len(record.logs) > 1:
        raise InputError(f"{record.folder}: the run was resumed, so its seconds are not those of one run; leave it out")


def _command(record: Record) -> str:
    """Return the command that the run's folder holds. Raises InputError if it holds none."""
    path = RunFolder(record.folder).command
    if not path.exists():
        raise InputError(f"{path}: missing, as in runs of older versions; give the command with --command TEXT")
    if command := read_input(path, "replace it", most_bytes=2**16).decode(errors="replace").strip():
        return command
    raise InputError(f"{path}: is empty; give the command with --command TEXT")


def _as_code(text: str) -> str:
    """Return `text` as Markdown code, in one backquote more than its longest run of them."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if len(fence) > 1 else f"{fence}{text}{fence}"


def _text(page: Path) -> str:
    """Return the page. Raises InputError if it cannot be read."""
    try:
        return read_input(page, "name a page with a table of runs", most_bytes=2**24).decode()
    except UnicodeDecodeError:
        raise InputError(f"{page}: is not text in UTF-8; name a page with a table of runs") from None


def _first_row(page: Path, lines: Sequence[str]) -> int:
    """Return the place of the table's first row. Raises InputError if the page has no table of runs."""
    head = _line(COLUMNS)
    for place, line in enumerate(lines[:-1]):
        if line.strip() == head and _DASHES.fullmatch(lines[place + 1].strip()):
            return place + 2
    raise InputError(f"{page}: has no table of runs; add the line {head} and a line {'|---' * len(COLUMNS)}|")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(page: Path, number: int, line: str) -> list[str]:
    r"""Return the cells of a row, in which \| stands for |. Raises InputError unless there is one for each column."""
    cells = [each.strip() for each in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
    if len(cells) != len(COLUMNS):
        raise InputError(f"{page}: line {number} has {len(cells)} cells, the table has {len(COLUMNS)}; mend the line")
    return cells
