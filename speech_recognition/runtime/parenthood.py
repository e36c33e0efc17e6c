"""Processes that end when their parent does, however it ends."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""of Linux's <sys/prctl.h>"""


def end_with_parent(parent: int) -> None:
    """Have the system kill this process when its parent, the process `parent`, ends. Does nothing but on Linux.

    Linux does so already when the parent's thread ends that has started this process: it has to be one that lasts.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it has ended before
        os.kill(os.getpid(), signal.SIGKILL)
