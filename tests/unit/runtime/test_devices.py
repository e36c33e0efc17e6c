"""The device that a run computes on, and its precision."""

import pytest
import torch

from speech_recognition.errors import InputError
from speech_recognition.runtime.devices import choose_device, use_precision


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "meta", "cuda:99", ""])
def test_a_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"--device {name}: "):
        choose_device(name)


def test_the_processor_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda")


def test_float32_is_not_rounded_to_tf32() -> None:
    use_precision("fp32", torch.device("cpu"))
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32
    with pytest.raises(InputError, match=r"model\.precision=tf32"):
        use_precision("tf32", torch.device("cpu"))
