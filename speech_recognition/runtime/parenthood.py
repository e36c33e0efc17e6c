"""Child processes that end with their parent, even if it is killed."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""Option of prctl that sets the signal for the end of the parent (Linux's <linux/prctl.h>)."""


def end_with_parent(parent: int) -> None:
    """Have Linux kill this process when its parent, process number `parent`, ends. Does nothing on other systems.

    Linux kills it even when only the parent's thread that started it ends, so that thread must be one that lasts.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # the parent ended before prctl was called
        os.kill(os.getpid(), signal.SIGKILL)
