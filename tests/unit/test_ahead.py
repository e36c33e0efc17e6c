"""The copy of the next batch: begun before the batch in front of it is handed over."""

import pytest
import torch

from speech_recognition.ahead import copied_ahead, one_ahead
from speech_recognition.batches import nothing


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_every_item_comes_in_order_after_the_next_has_begun(count: int) -> None:
    begun: list[int] = []

    def begin(item: int) -> str:
        begun.append(item)
        return f"copy of {item}"

    for place, item in enumerate(one_ahead(range(count), begin, lambda copy: int(copy.split()[-1]))):
        assert item == place
        assert begun == list(range(min(place + 2, count)))
    assert begun == list(range(count))


def test_an_error_in_reading_comes_through() -> None:
    def items() -> object:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(one_ahead(items(), str, int))  # type: ignore[arg-type]


def test_a_cpu_gets_the_batches_themselves() -> None:
    batches = [nothing(), nothing()]
    assert all(one is other for one, other in zip(copied_ahead(batches, torch.device("cpu")), batches, strict=True))
