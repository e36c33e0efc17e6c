"""A call of a function in a process of its own, for code whose state or threads cannot be reset."""

import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import ParamSpec, TypeVar

from speech_recognition.errors import ReportedError, WorkerError
from speech_recognition.runtime.parenthood import end_with_parent
from speech_recognition.runtime.signals import SIGNALS

Given = ParamSpec("Given")
Returned = TypeVar("Returned")


def call(function: Callable[Given, Returned], *arguments: Given.args, **named: Given.kwargs) -> Returned:
    """Return what `function` returns in a new process, which ends when this one does.

    Function, arguments and result must be picklable. A ReportedError or OSError of the function is raised here as
    well. Raises WorkerError if the process is killed, or if any other error ends it: that process prints a traceback.
    """
    context = multiprocessing.get_context("spawn")  # a forked child would share torch's threads in an unknown state
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(sender, os.getpid(), function, arguments, named))
    process.start()
    sender.close()  # this process's copy, or the end of the other process would not end the wait
    try:
        outcome = receiver.recv()
    except EOFError:
        process.join()
        status = process.exitcode or 0
        how = f"status {status}" if status >= 0 else f"signal {-status}"
        raise WorkerError(
            f"process {process.pid}, which runs this command's work, ended with {how}: see what it printed above, or"
            " free some memory"
        ) from None
    finally:
        process.kill()
        process.join()
        receiver.close()
    if isinstance(outcome, ReportedError | OSError):
        raise outcome
    returned: Returned = outcome[0]
    return returned


def _answer(
    sender: Connection,
    parent: int,
    function: Callable[..., object],
    arguments: tuple[object, ...],
    named: dict[str, object],
) -> None:
    """Send the function's outcome, and end the process."""
    for number in SIGNALS:  # a terminal signals the whole group; the parent ends this process itself
        signal.signal(number, signal.SIG_IGN)
    end_with_parent(parent)
    status = 0
    try:
        sender.send(_outcome(function, arguments, named))
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        status = 1
    os._exit(status)  # Python's own way out would wait for threads that the function left running


def _outcome(
    function: Callable[..., object], arguments: tuple[object, ...], named: dict[str, object]
) -> tuple[object] | ReportedError | OSError:
    """Return the function's result as a tuple of one, or the error that it or the flushing of its output raised.

    Flushes first, because the parent kills this process when it has the outcome.
    """
    try:
        try:
            return (function(*arguments, **named),)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
    except (ReportedError, OSError) as error:
        return error
