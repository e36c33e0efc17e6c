"""The machine's page cache, which MLPerf asks to be dropped before a run."""

import os
import sys
from pathlib import Path

_SWITCH = Path("/proc/sys/vm/drop_caches")
"""File of the kernel; writing a number to it drops the page cache."""


def can_drop() -> bool:
    """Return whether this process may drop the page cache, without dropping it."""
    try:
        os.close(os.open(_SWITCH, os.O_WRONLY))
    except OSError:
        return False
    return True


def drop_caches() -> bool:
    """Empty this machine's page cache, so that data comes from the disk; return whether that was permitted."""
    os.sync()  # pages that are not on the disk yet cannot be dropped
    try:
        _SWITCH.write_text("3\n", encoding="utf-8")  # 3: pages, inodes and directory entries
    except OSError:
        print("note: the page cache could not be dropped (not root); the log says so", file=sys.stderr)
        return False
    return True
