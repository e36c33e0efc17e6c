"""The device that a run computes on."""

import torch

from speech_recognition.errors import InputError


def choose_device(name: str) -> torch.device:
    """The device called `name`: auto, cpu, cuda or cuda:N, set to compute in full float32.

    Raises InputError on one that is not there.
    """
    # TF32 is on by default in cuDNN and would make an "fp32" run one of 10-bit mantissas.
    torch.backends.cudnn.allow_tf32 = False
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
