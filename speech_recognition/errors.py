"""Exit statuses, and the errors that the command line reports in one line instead of a traceback."""

from enum import IntEnum
from typing import ClassVar

_LONGEST_MESSAGE = 2000
"""Characters. Longer messages lose their middle: the advice at the end matters."""


def one_line(text: str) -> str:
    """Return `text` as one line of printable characters, cut in the middle where it is long.

    Use it for text from outside: a server's answer, a file name, an archive member. Control characters become
    escapes such as \\x1b and \\n, so they can neither move the cursor nor imitate a line of this program.
    """
    if len(text) > _LONGEST_MESSAGE:
        text = f"{text[: _LONGEST_MESSAGE // 2]} ... {text[-_LONGEST_MESSAGE // 2 :]}"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class ExitStatus(IntEnum):
    """Exit statuses of every command. A command that signal N stops ends with 128 + N instead."""

    DONE = 0
    """For `train`: the target was reached."""
    FAILURE = 1
    """A failed checksum, a log that breaks a rule, a full disk, a crash."""
    BAD_INPUT = 2
    """Bad usage or bad input."""
    TARGET_MISSED = 3
    """Training ended without reaching the target."""


class ReportedError(Exception):
    """Base of the errors whose message is one line that says what is wrong and what to do.

    The command line prints the message and exits with `status`.
    """

    status: ClassVar[ExitStatus] = ExitStatus.FAILURE


class InputError(ReportedError, ValueError):
    """Bad usage or bad input. The message names the file or the parameter."""

    status = ExitStatus.BAD_INPUT


class DiskFullError(ReportedError):
    """A disk has less free space than a command is going to write. The message names the folder's parameter."""


class DownloadError(ReportedError):
    """No mirror delivered an archive. Running the command again continues the download."""


class VerificationError(ReportedError):
    """The dataset could not be made, or is not the one that a run of the closed division needs."""


class DivergedError(ReportedError):
    """Loss or gradients are no longer finite. The message names the parameters to change."""


class PeerError(ReportedError):
    """Another process of the run ended early and reports the cause itself."""


class WorkerError(ReportedError):
    """A data-loading process died or stopped answering. The message names the process."""
