"""The device that a run computes on."""

import torch

from speech_recognition.errors import InputError


def use_precision(precision: str, device: torch.device) -> None:
    """Let products on GPUs round to TF32, or not. Raises InputError where there is none of it."""
    if precision == "tf32" and device.type != "cuda":
        raise InputError(f"model.precision=tf32: only GPUs have it, this is the {device.type}; use fp32 or bf16")
    # cuDNN's default is TF32, which would make an "fp32" run one of 10-bit mantissas.
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def choose_device(name: str) -> torch.device:
    """The device called `name`: auto, cpu, cuda or cuda:N, in full float32 so far.

    Raises InputError on one that is not there.
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
