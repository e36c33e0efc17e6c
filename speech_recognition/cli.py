"""The command line: what is typed to one of the commands, what that raises to one line and an exit status."""

import argparse
import io
import os
import signal
import sys
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from speech_recognition.commands import dataset, logs, training
from speech_recognition.errors import (
    DivergedError,
    DownloadError,
    InputError,
    PeerError,
    VerificationError,
    WorkerError,
    one_line,
)
from speech_recognition.runtime import signals

_DESCRIPTION = """DeepSpeech2 on LibriSpeech, a training benchmark. COMMAND --help explains each command.

Exit statuses: 0 done; 1 a failure; 2 bad usage or bad input; 3 training ended
without reaching the target; 128 + N stopped by signal N."""


def mend_streams() -> None:
    """Have a standard output and a standard error that take any text, where they are closed too, or will be."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # else the next file to be opened would take its place
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif stream.isatty():
            raw = io.BufferedWriter(_Terminal(stream.fileno(), "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(raw, stream.encoding, line_buffering=True))
        getattr(sys, name).reconfigure(errors="backslashreplace")  # a file's name may be any bytes


class _Terminal(io.FileIO):
    """A terminal that may be closed while a run goes on, and must not end it before its SIGHUP is there."""

    def write(self, data: Any) -> int:
        """Write, or do as if."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    signals.handle()
    try:
        options = _parser().parse_args(arguments)
        options.arguments = list(arguments)
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except Exception as error:
        if isinstance(error, BrokenPipeError):
            # The reader of our standard output is gone; what is still buffered for it has no place to go.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if signals.stopped:  # what fails then is its consequence: some imports make errors of what its handler raises
            return 128 + signals.stopped[0]
        return _explained(error)


def _explained(error: Exception) -> int:
    """Say in one line what ended the command; returns the exit status. Raises again what nobody foresaw."""
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE
    text = one_line(str(error))
    if isinstance(error, PeerError):
        if os.environ.get("RANK") == "0":  # once is enough
            print(f"error: another process of the run has ended; its own message says why ({text})", file=sys.stderr)
        _wait_for_the_peer()
        return 1
    if isinstance(error, OSError):  # a full disk, a quota, a disk that fails
        where, reason = error.filename or "writing", error.strerror or error
        text = one_line(f"{where}: {reason}")
    elif not isinstance(error, InputError | DownloadError | VerificationError | DivergedError | WorkerError):
        raise error
    print(f"error: {text}", file=sys.stderr)
    return 2 if isinstance(error, InputError) else 1


def _wait_for_the_peer() -> None:
    """Let the process that has failed end first, with a status that says why: torchrun then ends all others."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(5)


class _Parser(argparse.ArgumentParser):
    """A parser whose usage errors are one line, and whose epilog may be a function that is called for the help only."""

    def format_help(self) -> str:
        if callable(self.epilog):
            self.epilog = self.epilog()
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = _Parser(
        prog="python -m speech_recognition",
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
        training.add_evaluate,
        logs.add_check_log,
        logs.add_report,
        logs.add_check_rcp,
        logs.add_package,
    ):
        add(commands)
    return parser
