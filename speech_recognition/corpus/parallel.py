"""A function applied to many items by several threads.

The work here is decoding, encoding, hashing or waiting for a process. All of it releases
Python's global lock, so that threads are as fast as processes and start at once.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 8
"""Most results per thread that wait for the caller. It bounds the memory: an item may hold a whole recording."""


@contextmanager
def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int | None
) -> Iterator[Iterator[Result]]:
    """Yield an iterator over `work(item)` for each item, in the order of the items, computed by `workers` threads.

    None means a thread per processor. At most _AHEAD items per thread are taken ahead of the
    result that the caller reads, so that `items` may be endless. An exception in `work` is raised
    where its result is read. When the block ends, work that has not begun is dropped, and work
    that has begun is waited for.
    """
    threads = workers or os.cpu_count() or 1
    # Not executor.map(), which takes all items before it yields a result: those of the largest archive hold 31 GB.
    executor = ThreadPoolExecutor(threads)
    try:
        yield _results(executor, work, items, _AHEAD * threads)
    finally:
        executor.shutdown(cancel_futures=True)


def _results(
    executor: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    """Yield the results in the order of the items, of which at most `ahead` are taken before their turn."""
    begun: deque[Future[Result]] = deque()
    for item in items:
        begun.append(executor.submit(work, item))
        # A finished result is yielded at once: it may be an error, and it holds memory.
        while begun and (len(begun) > ahead or begun[0].done()):
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
