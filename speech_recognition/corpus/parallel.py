"""The same work on many items, in threads.

What runs here decodes, encodes, hashes, or waits for another process: all of it
outside Python's lock, so that threads do what processes would, without their start.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def in_threads(
    work: Callable[[Item], Result], items: Sequence[Item], workers: int | None
) -> Iterator[Iterator[Result]]:
    """Give the results of `work` for each item, in the items' order, made by `workers` threads.

    None means a thread for each processor. When the block ends by an exception, work that
    has not begun is dropped, and what has begun is waited for.
    """
    executor = ThreadPoolExecutor(workers or os.cpu_count())
    try:
        yield executor.map(work, items)
    finally:
        executor.shutdown(cancel_futures=True)
