"""The device that a run computes on, and its precision."""

import pytest
import torch

from speech_recognition.errors import InputError
from speech_recognition.runtime.devices import best_precision, choose_device, use_precision


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


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "fp32"),
        ({"avx512_f": True, "avx512_bf16": True, "amx_bf16": False}, "bf16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bf16"),
        ({"architecture": "arm64", "neon": True}, "fp32"),
    ],
)
def test_bfloat16_is_the_best_where_a_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, object], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert best_precision(torch.device("cpu")) == expected


@pytest.mark.parametrize(("capability", "expected"), [((7, 5), "fp32"), ((8, 0), "bf16"), ((9, 0), "bf16")])
def test_bfloat16_is_the_best_where_the_runs_own_gpu_has_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], expected: str
) -> None:
    gpus = {torch.device("cuda:0"): (9, 9), torch.device("cuda:1"): capability}
    monkeypatch.setattr(torch.cuda, "get_device_capability", gpus.__getitem__)
    assert best_precision(torch.device("cuda:1")) == expected


def test_a_precision_that_nobody_decided_is_not_computed_with() -> None:
    with pytest.raises(InputError, match=r"model\.precision=auto: .*use fp32 or bf16"):
        use_precision("auto", torch.device("cpu"))
