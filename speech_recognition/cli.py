"""The command line: parses what was typed, runs the command, and turns raised errors into a line and an exit status."""

import argparse
import errno
import io
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from speech_recognition.commands import (
    dataset,
    evaluation,
    export,
    inference,
    loadgen,
    logs,
    profiling,
    training,
    transcription,
)
from speech_recognition.errors import ExitStatus, InputError, PeerError, ReportedError, one_line
from speech_recognition.runtime import exit_status, signals

_PATHS_FAULT = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR}
"""Errors of the system for which a different path is the remedy."""

_DESCRIPTION = """DeepSpeech2 on LibriSpeech, a training benchmark. COMMAND --help explains each command.

Exit statuses: 0 done; 1 a failure; 2 bad usage or bad input; 3 training ended
without reaching the target; 128 + N stopped by signal N."""


def mend_streams() -> None:
    """Replace standard output and standard error with streams that accept any text, even after they are closed.

    A closed standard input becomes an empty one.
    """
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller: the next file to be opened would take its descriptor
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif stream.isatty():
            raw = io.BufferedWriter(_Terminal(stream.fileno(), "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(raw, stream.encoding, line_buffering=True))
        getattr(sys, name).reconfigure(errors="backslashreplace")  # a file name may be any bytes


class _Terminal(io.FileIO):
    """Terminal that drops what is written to it once it is closed; a failure is needless, as SIGHUP ends the run."""

    def write(self, data: Any) -> int:
        """Write `data`, or drop it if the terminal is gone."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def main(arguments: Sequence[str]) -> int:
    """Run one command and return the exit status."""
    signals.handle()
    try:
        options = _options(arguments)
        status = exit_status.told_to_launcher(options.run(options), os.environ)
        sys.stdout.flush()
        return status
    except Exception as error:
        if isinstance(error, BrokenPipeError):
            # The reader of standard output is gone, and Python would try to flush the buffer to it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if signals.stopped:  # some imports replace the handler's exception by one of theirs
            return 128 + signals.stopped[0]
        return _reported(error)


def check(arguments: Sequence[str]) -> int:
    """Parse a command without running it; return 0 if its options are good, else the exit status of the refusal."""
    try:
        options = _options(arguments)
        if "check" in options:
            options.check(options)
    except InputError as error:
        return _reported(error)
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the command's options, and the words themselves. Raises InputError if they are wrong."""
    options = _parser().parse_args(arguments)
    options.arguments = list(arguments)
    return options


def _reported(error: Exception) -> int:
    """Print in one line what ended the command and return the exit status. Raises an unforeseen error unchanged."""
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE
    if isinstance(error, ReportedError):
        status, text = error.status, str(error)
    elif isinstance(error, OSError) and error.filename and error.errno in _PATHS_FAULT:
        status = ExitStatus.BAD_INPUT
        text = f"{error.filename}: {error.strerror}; name a different path, or make this one usable"
    elif isinstance(error, OSError):  # a full disk, a quota, a disk that fails
        status, text = ExitStatus.FAILURE, f"{error.filename or 'writing'}: {error.strerror or error}"
    else:
        raise error
    if isinstance(error, PeerError):
        text = f"another process of the run has ended; its own message says why ({text})"
    if not isinstance(error, PeerError) or os.environ.get("RANK") == "0":  # one process speaks for all the others
        print(f"error: {one_line(text)}", file=sys.stderr)
    if isinstance(error, PeerError):
        _wait_for_the_peer()
    return status


def _wait_for_the_peer() -> None:
    """Wait 5 seconds, so that the failed process ends first: torchrun then ends the others and takes its status."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(5)


class _Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line. Its epilog may be a function, which only the help calls."""

    def format_help(self) -> str:
        """Return the help text, with what the epilog returns if it is a function."""
        if callable(self.epilog):
            self.epilog = self.epilog()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Raise InputError, which `main` prints in one line."""
        raise InputError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="deepspeech2" if Path(sys.argv[0]).name == "deepspeech2" else "python -m speech_recognition",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (
        dataset.add_download,
        dataset.add_synthesize,
        dataset.add_prepare,
        dataset.add_verify,
        training.add_train,
        evaluation.add_evaluate,
        transcription.add_transcribe,
        inference.add_test,
        loadgen.add_benchmark,
        export.add_export,
        export.add_import,
        export.add_lm,
        profiling.add_profile,
        logs.add_check_log,
        logs.add_report,
        logs.add_results,
        logs.add_score,
        logs.add_check_rcp,
        logs.add_package,
    ):
        add(commands)
    return parser
