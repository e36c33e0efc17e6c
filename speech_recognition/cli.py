"""The command line: what is typed to one of the commands, what that raises to one line and an exit status."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from speech_recognition.commands import dataset, logs, training
from speech_recognition.errors import DivergedError, DownloadError, InputError, PeerError, one_line

_DESCRIPTION = """DeepSpeech2 on LibriSpeech, a training benchmark. COMMAND --help explains each command.

Exit statuses: 0 done; 1 a failure; 2 bad usage or bad input; 3 training ended
without reaching the target; 128 + N stopped by signal N."""


def mend_streams() -> None:
    """Have a standard output and a standard error that take any text, where they are closed too."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # else the next file to be opened would take its place
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        getattr(sys, name).reconfigure(errors="backslashreplace")  # a file's name may be any bytes


def main(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, _stop)
    try:
        options = _parser().parse_args(arguments)
        options.arguments = list(arguments)
        status: int = options.run(options)
        sys.stdout.flush()
        return status
    except InputError as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        return 2
    except (DownloadError, DivergedError) as error:
        print(f"error: {one_line(str(error))}", file=sys.stderr)
        return 1
    except PeerError as error:
        if os.environ.get("RANK") == "0":  # once is enough
            print(
                f"error: another process of the run has ended; its own message says why ({one_line(str(error))})",
                file=sys.stderr,
            )
        _wait_for_the_peer()
        return 1
    except BrokenPipeError:
        # The reader of our standard output is gone; what is still buffered for it has no place to go.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + (_stopped[0] if _stopped else signal.SIGPIPE)
    except OSError as error:  # a full disk, a quota, a disk that fails
        where, reason = error.filename or "writing", error.strerror or error
        print(f"error: {one_line(f'{where}: {reason}')}", file=sys.stderr)
        return 1


def _wait_for_the_peer() -> None:
    """Let the process that has failed end first, with a status that says why: torchrun then ends all others."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(5)


_stopped: list[int] = []
"""The signal that ends the program. A pipe that breaks after it is only its consequence."""


def _stop(number: int, _: FrameType | None) -> NoReturn:
    _stopped.append(number)
    print(f"stopped by {signal.Signals(number).name}", file=sys.stderr)
    raise SystemExit(128 + number)


class _Parser(argparse.ArgumentParser):
    """One line for a usage error, as for every other bad input."""

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
