"""Choice of the device that a run computes on, and of its precision."""

from typing import Literal

import torch
import torch.nn.functional as F

from speech_recognition.errors import InputError


def best_precision(device: torch.device) -> Literal["fp32", "bf16"]:
    """Return bf16 if `device` is known to multiply bfloat16 in hardware, else fp32."""
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)  # Ampere was the first
    else:
        has = torch.cpu.get_capabilities() if device.type == "cpu" else {}
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


def try_algorithms(device: torch.device) -> None:
    """Have cuDNN measure its convolutions at each new shape and keep the fastest. On a CPU, torch's default stays.

    That pays in training: features.py rounds the frames up, so an epoch has some sixty shapes and thousands of steps.
    """
    torch.backends.cudnn.benchmark = device.type == "cuda"


def choose_device(name: str) -> torch.device:
    """Return the device called `name`: auto, cpu, cuda, cuda:N, or the name of torch's accelerator on this machine.

    Turns TF32 off until `use_precision` allows it. Raises InputError for a name that torch does not know, a device that
    is not there, and a device that lacks an operation of a training step.
    """
    use_precision("fp32", torch.device("cpu"))
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InputError(f"--device {name}: torch knows no such device; use auto, cpu, cuda or cuda:N") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(f"--device {name}: torch sees {torch.cuda.device_count()} CUDA devices; use --device cpu")
    if device.type not in ("cpu", "cuda"):
        _check_accelerator(device)
    return device


def wait_for(device: torch.device) -> None:
    """Wait until the device has finished what it was given; a CPU always has."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def _check_accelerator(device: torch.device) -> None:
    """Raise InputError unless `device` is this machine's accelerator and has the rarer operations of a training step.

    The rarer ones are float64, Fourier transforms, and CTC with its gradient.
    """
    there = torch.accelerator.current_accelerator(check_available=True)
    count = torch.accelerator.device_count() if there and there.type == device.type else 0
    if (device.index or 0) >= count:
        raise InputError(f"--device {device}: torch sees {count} {device.type} devices; use --device cpu")
    try:
        torch.fft.rfft(torch.ones(1, 8, device=device))
        log_probs = torch.zeros(4, 1, 29, dtype=torch.float64, device=device, requires_grad=True)
        targets, frames, symbols = (torch.tensor(each, device=device) for each in ([[1, 2]], [4], [2]))
        loss = F.ctc_loss(log_probs, targets, frames, symbols)
        torch.autograd.backward(loss)
        loss.item()
    except (RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"--device {device}: it lacks an operation of a training step ({reason}); use --device cpu"
        ) from None
