"""The memory of the device: recognising that it ran out, and returning what is unused."""

import re

import torch

_RAN_OUT = re.compile(r"allocate memory|out of memory|ALLOC(ATION)?_FAILED")
"""Words for it in the messages of torch's CPU allocator, of the CUDA driver, and of cuDNN, cuBLAS and cuFFT, whose
statuses are CUDNN_STATUS_ALLOC_FAILED, CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED, CUBLAS_STATUS_ALLOC_FAILED
and CUFFT_ALLOC_FAILED."""


def ran_out(error: Exception) -> bool:
    """Return whether `error` says that memory ran out."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or bool(_RAN_OUT.search(str(error)))


def start_afresh(device: torch.device) -> None:
    """Return a GPU's unused memory to its driver, and measure the peak from here on. Does nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
