import pytest
import torch

from speech_recognition import processes
from speech_recognition.errors import InputError


@pytest.mark.parametrize(("gpus", "count", "device", "expected"), [
    (0, 1, "auto", 1),
    (0, -1, "auto", 1),
    (8, -1, "auto", 8),
    (8, 4, "cuda", 4),
    (8, 1, "cuda:3", 1),
    (0, 4, "cpu", 4),
    (8, 16, "cpu", 16),
])  # fmt: skip
def test_as_many_as_asked_for_or_one_for_each_gpu(
    monkeypatch: pytest.MonkeyPatch, gpus: int, count: int, device: str, expected: int
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert processes.wanted(count, device) == expected


@pytest.mark.parametrize(("count", "device", "message"), [
    (3, "auto", "--num-gpus 3: torch sees 2 GPUs"),
    (2, "cuda:1", "--device cuda:1: is one GPU"),
    (-1, "cpu", "--num-gpus -1: --device cpu has no GPUs to count"),
])  # fmt: skip
def test_what_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch, count: int, device: str, message: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=message):
        processes.wanted(count, device)
