"""Reader of the tables that NVIDIA Nsight Compute writes (`ncu --csv`), in both of their forms.

`--page raw` writes a row for each kernel and a column for each metric, with a row of units below the header. Without
it, there is a row for each metric of each kernel. Lines of ncu's own, which begin with ==, may stand between the rows.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from speech_recognition.errors import InputError, one_line
from speech_recognition.profiling.calls import OTHER, RANGE, Call, Place, Profile

DURATION = "gpu__time_duration.sum"
"""Metric of a kernel's duration."""

UTILISATION = {
    "sm": "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "tensor": "sm__pipe_tensor_cycles_active.avg.pct_of_peak_sustained_elapsed",
    "occupancy": "sm__warps_active.avg.pct_of_peak_sustained_active",
}
"""Metric of each field of `Call` that is a utilisation."""

_SECTION_NAMES = {
    "Duration": DURATION,
    "Compute (SM) Throughput": UTILISATION["sm"],
    "Achieved Occupancy": UTILISATION["occupancy"],
}
"""Metrics by the names that ncu gives them in its default sections."""

_MS = {
    **dict.fromkeys(("nsecond", "ns"), 1e-6),
    **dict.fromkeys(("usecond", "us"), 1e-3),
    **dict.fromkeys(("msecond", "ms"), 1.0),
    **dict.fromkeys(("second", "s"), 1e3),
}
"""Milliseconds of each unit that ncu gives a duration in."""

_HEADER = '"ID",'
_ADVICE = f"record it with `profile ncu`, or with ncu --csv --metrics {DURATION}"

Row = dict[str, str]
Values = dict[str, tuple[str, str]]
"""Value and unit of each metric of one kernel."""


def is_table(content: bytes) -> bool:
    """Return whether a file's content looks like what ncu prints."""
    return any(line.startswith((_HEADER.encode(), b"==PROF==", b"==ERROR==")) for line in content.splitlines())


def read_ncu(path: Path, content: bytes) -> Profile:
    """Return the profile in a table of ncu's. Raises InputError, which names `path`, if it is not one or is empty."""
    lines = content.decode(errors="replace").splitlines()
    rows = _rows(path, [line for line in lines if not line.startswith("==")])
    kernels = _by_metric(rows) if rows and "Metric Name" in rows[0] else _by_kernel(rows)
    calls = [_call(path, row, values) for row, values in kernels]
    if not calls:
        why = next((line for line in lines if line.startswith("==ERROR==")), "it has no kernels")
        raise InputError(f"{path}: ncu recorded nothing ({one_line(why)}); {_ADVICE}")
    return Profile(calls=calls, unit="GPU kernels")


def _rows(path: Path, lines: list[str]) -> list[Row]:
    """Return the rows below the header by the names of the columns. Raises InputError for one of a different length."""
    start = next((number for number, line in enumerate(lines) if line.startswith(_HEADER)), len(lines))
    try:
        names, *rows = csv.reader((line for line in lines[start:] if line.strip()), strict=True)
    except csv.Error as error:
        raise InputError(f"{path}: cannot be read as CSV ({error}); {_ADVICE}") from None
    except ValueError:  # no header
        return []
    for row in rows:
        if len(row) != len(names):
            raise InputError(
                f"{path}: {one_line(','.join(row)[:80])!r} is not a row of the table; use ncu's --log-file, which keeps"
                " the program's own output out of it"
            )
    return [dict(zip(names, row, strict=True)) for row in rows]


def _by_kernel(rows: Iterable[Row]) -> Iterator[tuple[Row, Values]]:
    """Yield a row and its metrics for each kernel of a table with a row of units and a column for each metric."""
    units: Row = {}
    for row in rows:
        if row["ID"]:
            yield row, {name: (value, units.get(name, "")) for name, value in row.items()}
        else:
            units = row


def _by_metric(rows: Iterable[Row]) -> Iterator[tuple[Row, Values]]:
    """Yield a row and all metrics for each kernel of a table with a row for each metric."""
    found: dict[tuple[str, str], tuple[Row, Values]] = {}
    for row in rows:
        _, values = found.setdefault((row.get("Process ID", ""), row["ID"]), (row, {}))
        name = row["Metric Name"]
        values[_SECTION_NAMES.get(name, name)] = row.get("Metric Value", ""), row.get("Metric Unit", "")
    yield from found.values()


def _call(path: Path, row: Row, values: Values) -> Call:
    """Return one kernel's call. Raises InputError if its name or duration is missing."""
    kernel = row.get("Kernel Name", "")
    text, unit = values.get(DURATION, ("", ""))
    duration = _number(text)
    if not kernel or duration is None or unit not in _MS:
        raise InputError(f"{path}: kernel {one_line(row['ID'])} has no name or no {DURATION} with its unit; {_ADVICE}")
    used = {field: _number(values.get(metric, ("", ""))[0]) for field, metric in UTILISATION.items()}
    return Call(kernel=kernel, place=_place(kernel, row), ms=duration * _MS[unit], **used)


def _number(text: str) -> float | None:
    """Return the number in a cell, whose thousands ncu separates by commas; None if it is none, such as n/a."""
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    return value if 0 <= value <= 1e18 else None  # NaN is not


def _place(kernel: str, row: Mapping[str, str]) -> Place:
    """Return the place whose range was open when the kernel was launched."""
    # Ranges stand in columns whose names hold Push/Pop_Range or Start/Stop_Range, as "<domain>:name:further fields".
    for name, cell in row.items():
        if "_Range:" in name and (match := RANGE.search(cell)):
            return Place(match[2], match[1])
    if "ctc_loss" in kernel:
        return Place("loss", "backward" if "backward" in kernel else "forward")
    return OTHER
