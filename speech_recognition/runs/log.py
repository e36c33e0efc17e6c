"""The log of a run: one stream that goes to standard output and to the run's folder, line by line."""

import io
import re
from pathlib import Path
from typing import TextIO

_FILE_ONLY = (":::MLLOG ", "parameters: ", "epoch ", "target ")
"""Beginnings of the lines that a terminal does not get: a table of the epochs and the outcome stand there instead."""


class Output(io.TextIOBase):
    """Standard output and the run's log file: the same bytes to both, line by line.

    A terminal gets the lines that a person reads, and what `show` adds to them.
    """

    def __init__(self, console: TextIO, log: Path, go_on: bool = False) -> None:
        """Open a new log, or `go_on` with one that exists.

        Lines that the log has already are not written again: a run that repeats its steps from the last checkpoint
        on writes the same lines, except for their times.
        """
        self.path = log
        self._console, self._line = console, ""
        self._terminal = console.isatty()
        self._there = _repair(log) if go_on else set()
        # A file's name may be any bytes, as on standard output.
        self._file = log.open("a" if go_on else "x", encoding="utf-8", errors="backslashreplace", buffering=1)

    def write(self, text: str) -> int:
        """Write whole lines to both, the file first: it is whole even where standard output's reader is gone."""
        *lines, self._line = (self._line + text).split("\n")
        new = [f"{line}\n" for line in lines if _timeless(line) not in self._there]
        if new:
            self._file.write("".join(new))
            self._console.write("".join(line for line in new if not (self._terminal and line.startswith(_FILE_ONLY))))
            self._console.flush()
        return len(text)

    def show(self, line: str) -> bool:
        """Print a line on a terminal, and nowhere else; return whether there is one."""
        if self._terminal:
            print(line, file=self._console, flush=True)
        return self._terminal

    def close(self) -> None:
        """Close the file; standard output stays open."""
        self._file.close()
        super().close()


def _repair(log: Path) -> set[str]:
    """Cut off an unfinished last line; return the other lines without their times."""
    whole = log.read_bytes()
    kept = whole[: whole.rfind(b"\n") + 1]
    if kept != whole:
        log.write_bytes(kept)
    return {_timeless(line) for line in kept.decode(errors="replace").splitlines()}


def _timeless(line: str) -> str:
    return re.sub(r'"time_ms": \d+|(?<=TIMING RUN AT ).*', "", line)


class Silence(io.TextIOBase):
    """Output of every process but the first."""

    def write(self, text: str) -> int:
        """Write nothing."""
        return len(text)

    def show(self, line: str) -> bool:
        """Show nothing."""
        return False
