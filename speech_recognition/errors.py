"""Errors that the command line says in one line: what a user did wrong, and what the world did."""

_LONGEST_MESSAGE = 2000
"""Characters of a message; the advice at its end is kept when the middle is cut."""


def one_line(text: str) -> str:
    """Return `text` as one line of printable characters, cut in the middle where it is long.

    For text from outside (a server's answer, a file's name, a member of an archive): control characters become
    escapes such as \\x1b and \\n, so that they can neither move the terminal's cursor nor pass for a line of ours.
    """
    if len(text) > _LONGEST_MESSAGE:
        text = f"{text[: _LONGEST_MESSAGE // 2]} ... {text[-_LONGEST_MESSAGE // 2 :]}"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


class InputError(ValueError):
    """Bad usage or bad input.

    The message is one line that names the file or the parameter and says what
    to do. The command line prints it and exits with status 2.
    """


class DownloadError(RuntimeError):
    """No mirror gives an archive.

    The message is one line that says why; another attempt goes on from there. The
    command line prints it and exits with status 1.
    """


class VerificationError(RuntimeError):
    """A dataset is not the one that a run of the closed division needs.

    The message is one line that says what to do; the command line prints it and exits with status 1.
    """


class DivergedError(RuntimeError):
    """Training gives no finite numbers any more.

    The message is one line that names the parameters to change; the command line
    prints it and exits with status 1.
    """


class PeerError(RuntimeError):
    """Another process of the run has ended early; its own message says why. The exit status is 1."""


class WorkerError(RuntimeError):
    """A data-loading process has ended, or gives nothing any more.

    The message is one line that names the process; the command line prints it
    and exits with status 1.
    """
