"""What C libraries print to standard error, dropped without touching file descriptor 2.

libsndfile's MP3 decoder comments on damaged files by fprintf to C's variable `stderr`, and no option of libsndfile
turns that off. glibc lets a program set the variable. Descriptor 2 stays as it is for Python's own messages, which a
different thread may print meanwhile, and for new processes.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock

_lock = Lock()
_blocks: list[int | None] = []
"""Value that the variable had before, once for each block that is entered and not left."""


@contextmanager
def dropped() -> Iterator[None]:
    """Drop what C code of any thread prints to `stderr` during the block. Without glibc, the block is run as it is."""
    found = _variable_and_null()
    if found is None:
        yield
        return
    variable, null = found
    with _lock:
        _blocks.append(_blocks[-1] if _blocks else variable.value)
        variable.value = null
    try:
        yield
    finally:
        with _lock:
            before = _blocks.pop()
            if not _blocks:  # blocks of different threads may overlap: the last to be left restores it
                variable.value = before


@cache
def _variable_and_null() -> tuple[ctypes.c_void_p, int] | None:
    """Return C's variable `stderr` and a FILE pointer to the null device; None if this is no glibc."""
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # elsewhere the variable may be constant
        return None
    library.fopen.restype = ctypes.c_void_p
    null = library.fopen(os.devnull.encode(), b"we")
    return (ctypes.c_void_p.in_dll(library, "stderr"), null) if null else None
