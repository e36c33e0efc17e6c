"""Errors that the command line says in one line: what a user did wrong, and what the world did."""


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


class DivergedError(RuntimeError):
    """Training gives no finite numbers any more.

    The message is one line that names the parameters to change; the command line
    prints it and exits with status 1.
    """


class PeerError(RuntimeError):
    """Another process of the run has ended early; its own message says why. The exit status is 1."""
