"""Tests of starting a run's processes, and of the exit status that they have together."""

import os
from types import SimpleNamespace

import pytest
import torch
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from speech_recognition.errors import ExitStatus, InputError
from speech_recognition.runtime import exit_status, launcher


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
    assert launcher.wanted(count, device) == expected


@pytest.mark.parametrize(("statuses", "expected"), [
    ([1, 2], 2),  # the others follow the one that has the fault
    ([143, 1], 1),
    ([-15, 3], 3),
    ([-9, 143], 137),
    ([3, 143], 3),
])  # fmt: skip
def test_the_status_is_that_of_the_process_that_failed_of_itself(
    monkeypatch: pytest.MonkeyPatch, statuses: list[int], expected: int
) -> None:
    failures = {rank: SimpleNamespace(exitcode=code, timestamp=rank) for rank, code in enumerate(statuses)}

    def fail(_: object) -> None:
        raise ChildFailedError("train", failures)  # type: ignore[arg-type]

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # else it is set for all tests to come, which then compute otherwise
    monkeypatch.setattr(ChildFailedError, "format_msg", lambda *_: "")
    monkeypatch.setattr(launcher.torchrun, "run", fail)
    assert launcher.start(2, ["train"]) == expected


@pytest.mark.parametrize("status", [ExitStatus.DONE, ExitStatus.TARGET_MISSED])
def test_a_target_missed_by_all_processes_is_the_status_of_the_run(
    monkeypatch: pytest.MonkeyPatch, status: ExitStatus
) -> None:
    def end(_: object) -> None:
        for rank in "01":
            process = os.environ | {"TORCHELASTIC_RUN_ID": "job", "RANK": rank}
            assert exit_status.told_to_launcher(status, process) == ExitStatus.DONE

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(launcher.torchrun, "run", end)
    assert launcher.start(2, ["train"]) == status
    assert exit_status.FILE not in os.environ


@pytest.mark.parametrize(("count", "device", "message"), [
    (3, "auto", "--num-gpus 3: torch sees 2 GPUs"),
    (2, "cuda:1", "--device cuda:1: is one GPU"),
    (-1, "cpu", "--num-gpus -1: --device cpu has no GPUs to count"),
])  # fmt: skip
def test_what_there_is_not_is_refused(monkeypatch: pytest.MonkeyPatch, count: int, device: str, message: str) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=message):
        launcher.wanted(count, device)
