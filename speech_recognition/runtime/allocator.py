"""Memory of the C library: what is freed stays in the process, up to a bound."""

import contextlib
import ctypes
import os
import resource
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8
"""Parameters of mallopt (glibc's malloc.h)."""

_MOST_GROWTH = 1.4
"""Bound of the resident memory, as a multiple of its size after a batch that began with no unused memory."""

_REMEMBERED = 0.95
"""Factor by which the remembered need may shrink each time that it is measured anew."""


def keep_memory() -> None:
    """Keep freed memory in this process instead of returning it to the system. Does nothing without glibc.

    By default, glibc maps every large block separately and unmaps it when it is freed; each page of the next block
    then costs a page fault and 4 KiB of zeros. That is up to half of the time of training on a CPU: in a benchmark,
    keeping memory shortens a step from 6.7 to 3.5 s (docs/LOG.md).
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_MAX, 0)  # no block is mapped separately
        libc.mallopt(_M_TRIM_THRESHOLD, -1)  # the free end of the heap is never returned
        # One heap for all threads, so that what one frees serves the others: gru.py computes in two threads.
        libc.mallopt(_M_ARENA_MAX, 1)


def keep_few_kernels() -> None:
    """Limit oneDNN's cache to 128 kernels instead of 1,024, unless the user has set a limit.

    Call it before oneDNN's first kernel. oneDNN makes kernels for each shape: if no two batches have the same shape,
    none is used again, and the cache grows by 4 MB a step (docs/LOG.md).
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")


class KeptMemory:
    """Bound of the memory that `keep_memory` keeps.

    Batches of many shapes leave holes in the heap that fit no later block, so it grows: in a training on real speech,
    to 10 GB after 1,300 steps. Whenever it has grown too far, all unused pages are returned to the system, which takes
    0.1 s and makes the next batch fault its pages in again.
    """

    def __init__(self) -> None:
        """Start without a bound; the first batch sets it."""
        self._needed = 0.0
        self._returned = True

    def after_batch(self) -> None:
        """Return unused memory to the system if the process has grown too far. Does nothing without glibc.

        Call it after each batch that is trained on or evaluated: all that happens between two calls counts as needed
        at once.
        """
        resident = _resident()
        if self._returned:
            # This batch began with no unused memory, so it needed all that is resident. A maximum over the whole run
            # would only rise, so the old need decays by 5%; a single short batch does not replace it.
            self._needed, self._returned = max(_REMEMBERED * self._needed, resident), False
        elif resident > _MOST_GROWTH * self._needed:
            with contextlib.suppress(OSError, AttributeError):
                ctypes.CDLL(None).malloc_trim(0)
            self._returned = True


kept_memory = KeptMemory()
"""This process's instance; a process has one heap."""


def _resident() -> int:
    """Return the bytes of this process that are in memory now; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    return 0
