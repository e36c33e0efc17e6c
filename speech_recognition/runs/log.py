"""The log of a run: one stream that goes to standard output and to the run's folder, line by line."""

import io
import re
from pathlib import Path
from typing import TextIO

_FILE_ONLY = (":::MLLOG ", "parameters: ", "epoch ", "target ")
"""Starts of the lines that a terminal does not show: it has a table of the epochs and the outcome instead."""


class Output(io.TextIOBase):
    """Stream that writes each line to standard output and to the run's log file, byte for byte the same.

    If standard output is a terminal, it gets the lines that a person reads, and those of `show`.
    """

    def __init__(self, console: TextIO, log: Path, go_on: bool = False) -> None:
        """Open a new log, or one that exists if `go_on`.

        A run that goes on repeats the steps since its last checkpoint, and with them their lines. Lines that the log
        already has, apart from their times, are not written again.
        """
        self.path = log
        self._console, self._line = console, ""
        self._terminal = console.isatty()
        self._there = _repair(log) if go_on else set()
        # A file's name may be any bytes, as on standard output. Each line is written at once, so that a kill loses
        # none. "x" refuses to write over the log of an earlier run.
        self._file = log.open("a" if go_on else "x", encoding="utf-8", errors="backslashreplace", buffering=1)

    def write(self, text: str) -> int:
        """Write the lines that `text` completes, and keep the rest for the next call; return the length of `text`.

        The file comes before standard output, so that it is complete even if the reader of standard output is gone.
        """
        *lines, self._line = (self._line + text).split("\n")
        new = [f"{line}\n" for line in lines if _timeless(line) not in self._there]
        if new:
            self._file.write("".join(new))
            self._console.write("".join(line for line in new if not (self._terminal and line.startswith(_FILE_ONLY))))
            self._console.flush()
        return len(text)

    def show(self, line: str) -> bool:
        """Print a line if standard output is a terminal; return whether it is one."""
        if self._terminal:
            print(line, file=self._console, flush=True)
        return self._terminal

    def close(self) -> None:
        """Close the file; standard output stays open."""
        self._file.close()
        super().close()


def _repair(log: Path) -> set[str]:
    """Cut an unfinished last line off the file `log`; return its other lines without their times."""
    whole = log.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    if kept != whole:
        log.write_bytes(kept)
    return {_timeless(line) for line in kept.decode(errors="replace").splitlines()}


def _timeless(line: str) -> str:
    """Return `line` without what differs when a run repeats it: times, and the samples consumed before an epoch."""
    if '"key": "epoch_start"' in line:  # a restart in the middle of an epoch has consumed a part of it
        line = re.sub(r'"samples_count": \d+', "", line)
    return re.sub(r'"time_ms": \d+|(?<=TIMING RUN AT ).*', "", line)


class Silence(io.TextIOBase):
    """Stream of every process but the first, which drops what is written."""

    def write(self, text: str) -> int:
        """Drop `text`; return its length."""
        return len(text)

    def show(self, line: str) -> bool:
        """Drop `line`; return False."""
        return False
