"""Choice of the device that a run computes on, and of its precision."""

from typing import Literal

import torch

from speech_recognition.errors import InputError


def best_precision(device: torch.device) -> Literal["fp32", "bf16"]:
    """Return bf16 if `device` multiplies bfloat16 in hardware, else fp32."""
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere was the first
    else:
        has = torch.cpu.get_capabilities()
        native = bool(has.get("avx512_bf16") or has.get("amx_bf16"))
    return "bf16" if native else "fp32"


def use_precision(precision: str, device: torch.device) -> None:
    """Allow TF32 in products on GPUs if `precision` is "tf32", else forbid it.

    Raises InputError for tf32 on a CPU, and for auto, which the start of a run replaces by `best_precision`.
    """
    if precision == "auto":
        raise InputError("model.precision=auto: only the start of a run can decide it; use fp32 or bf16")
    if precision == "tf32" and device.type != "cuda":
        raise InputError(f"model.precision=tf32: only GPUs have it, but the device is {device.type}; use fp32 or bf16")
    # cuDNN's default is TF32: an "fp32" run would compute with mantissas of 10 bits instead of 23.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def choose_device(name: str) -> torch.device:
    """Return the device called `name`: auto, cpu, cuda or cuda:N. Turns TF32 off until `use_precision` allows it.

    Raises InputError for a name or a GPU that does not exist.
    """
    use_precision("fp32", torch.device("cpu"))
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"--device {name}: must be auto, cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"--device {name}: must be auto, cpu, cuda or cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"--device {name}: torch sees {torch.cuda.device_count()} CUDA devices; use --device cpu")
    return device
