"""The same work on many items, in threads.

What runs here decodes, encodes, hashes, or waits for another process: all of it
outside Python's lock, so that threads do what processes would, without their start.
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
"""Items for each thread that are taken before their results are asked for: they are held in memory."""


@contextmanager
def in_threads(
    work: Callable[[Item], Result], items: Iterable[Item], workers: int | None
) -> Iterator[Iterator[Result]]:
    """Give the results of `work` for each item, in the items' order, made by `workers` threads.

    None means a thread for each processor. Items are taken as they are needed, so that
    their number has no bound. When the block ends by an exception, work that has not begun
    is dropped, and what has begun is waited for.
    """
    threads = workers or os.cpu_count() or 1
    executor = ThreadPoolExecutor(threads)
    try:
        yield _results(executor, work, items, _AHEAD * threads)
    finally:
        executor.shutdown(cancel_futures=True)


def _results(
    executor: ThreadPoolExecutor, work: Callable[[Item], Result], items: Iterable[Item], ahead: int
) -> Iterator[Result]:
    begun: deque[Future[Result]] = deque()
    for item in items:
        begun.append(executor.submit(work, item))
        # What is done is taken at once: it may be an error, and holds memory.
        while begun and (len(begun) > ahead or begun[0].done()):
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
