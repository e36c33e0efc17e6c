import threading

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

    def work(item: int) -> None:
        begun.append(item)
        raise ValueError(f"item {item}")

    with pytest.raises(ValueError, match="item 0"), in_threads(work, range(1000), workers=1) as results:
        gate = next(results)
        assert gate is None
    assert len(begun) < 1000
