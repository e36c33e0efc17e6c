"""The device that a run computes on, and its precision."""

from collections.abc import Callable

import pytest
import torch

from speech_recognition.errors import InputError
from speech_recognition.runtime.devices import best_precision, choose_device, try_algorithms, use_precision


@pytest.mark.parametrize("name", ["gpu", "cuda:x", "meta", "cuda:99", "xpu", "mps", "hpu", "xpu:1", ""])
def test_a_device_that_is_not_there_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=f"--device {name}: "):
        choose_device(name)


def test_the_processor_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda")


def have_accelerator(monkeypatch: pytest.MonkeyPatch, name: str, count: int) -> None:
    """Let torch report `count` accelerators called `name`."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: torch.device(name))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)


def test_an_accelerator_without_an_operation_of_a_step_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    have_accelerator(monkeypatch, "meta", 1)  # torch has this one everywhere; it computes shapes only
    with pytest.raises(
        InputError, match=r"^--device meta: it lacks an operation of a training step \(.*\); use .*cpu$"
    ):
        choose_device("meta")
    with pytest.raises(InputError, match="--device meta:1: torch sees 1 meta devices"):
        choose_device("meta:1")


def test_an_accelerator_that_computes_a_step_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    have_accelerator(monkeypatch, "xpu", 2)
    tensor, ones, zeros = torch.tensor, torch.ones, torch.zeros
    asked = []

    def on_cpu(make: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def made(*sizes: object, device: torch.device, **options: object) -> torch.Tensor:
            asked.append(device)
            return make(*sizes, **options)

        return made

    for name, make in (("tensor", tensor), ("ones", ones), ("zeros", zeros)):
        monkeypatch.setattr(torch, name, on_cpu(make))
    assert choose_device("xpu:1") == torch.device("xpu:1")
    assert set(asked) == {torch.device("xpu:1")}


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


def test_an_unknown_accelerator_computes_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert best_precision(torch.device("xpu")) == "fp32"


def test_a_precision_that_nobody_decided_is_not_computed_with() -> None:
    with pytest.raises(InputError, match=r"model\.precision=auto: .*use fp32 or bf16"):
        use_precision("auto", torch.device("cpu"))


@pytest.mark.parametrize(("name", "measured"), [("cuda:0", True), ("cpu", False)])
def test_only_a_gpus_convolutions_are_measured(monkeypatch: pytest.MonkeyPatch, name: str, measured: bool) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", not measured)
    try_algorithms(torch.device(name))
    assert torch.backends.cudnn.benchmark is measured
