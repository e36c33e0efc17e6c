"""Memory that ran out, under each of its names, and memory that is returned."""

import pytest
import torch

from speech_recognition.runtime import memory


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"),
    ],
)
def test_it_is_known_by_every_name(error: Exception) -> None:
    assert memory.ran_out(error)


@pytest.mark.parametrize("text", ["mat1 and mat2 shapes cannot be multiplied", "CUDNN_STATUS_BAD_PARAM", ""])
def test_other_faults_are_not_taken_for_it(text: str) -> None:
    assert not memory.ran_out(RuntimeError(text))


@pytest.mark.parametrize(("device", "calls"), [("cuda:1", ["empty", "cuda:1"]), ("cpu", [])])
def test_only_a_gpu_starts_afresh(monkeypatch: pytest.MonkeyPatch, device: str, calls: list[str]) -> None:
    called: list[str] = []
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: called.append("empty"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: called.append(str(device)))
    memory.start_afresh(torch.device(device))
    assert called == calls
