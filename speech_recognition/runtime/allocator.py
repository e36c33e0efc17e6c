"""Where freed memory goes: back to the system, or not."""

import contextlib
import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""Parameters of mallopt, from glibc's malloc.h."""


def keep_memory() -> None:
    """Let this process keep the memory that it has once had; does nothing where the C library is not glibc.

    By default every large block is a mapping of its own, which goes back to the system when it is freed; the
    next one comes page by page, each page a trap and 4 KiB of zeros. In training on a CPU that is up to half
    of the time (benchmarks/throughput.py).
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)
        libc.mallopt(_M_TRIM_THRESHOLD, -1)
