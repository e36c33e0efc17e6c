"""The machine's page cache, which MLPerf asks to be dropped before a run."""

import os
import sys
from pathlib import Path


def drop_caches() -> bool:
    """Empty this machine's page cache, so that data comes from the disk; return whether that was permitted."""
    os.sync()  # pages that are not on the disk yet cannot be dropped
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="utf-8")  # 3: pages, inodes and directory entries
    except OSError:
        print("note: the page cache could not be dropped (not root); the log says so", file=sys.stderr)
        return False
    return True
