"""Tests of a function that several threads apply to many items."""

import threading
import time
from collections.abc import Iterator

import pytest

from speech_recognition.corpus.parallel import in_threads


def test_results_come_in_the_order_of_the_items() -> None:
    first_may_end = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            first_may_end.wait()
        else:
            first_may_end.set()
        return 10 * item

    with in_threads(work, [0, 1, 2], workers=2) as results:
        assert list(results) == [0, 10, 20]


def test_an_exception_drops_what_has_not_begun() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        time.sleep(0.02)
        return item

    with pytest.raises(KeyboardInterrupt), in_threads(work, range(200), workers=1) as results:
        assert next(results) == 0
        raise KeyboardInterrupt
    dropped = 200 - len(begun)
    assert dropped > 0
    time.sleep(0.05)
    assert len(begun) == 200 - dropped


def test_an_error_is_raised_before_all_that_may_be_held_is_taken() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(16):
            taken.append(item)
            yield item
            time.sleep(0.02)

    def work(_: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError), in_threads(work, items(), workers=2) as results:
        list(results)
    assert len(taken) < 8
