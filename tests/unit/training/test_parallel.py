"""Tests of one model in two processes: sums of gradients, and what ends a backward pass."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from speech_recognition.commands import ROOT
from speech_recognition.training import parallel

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def in_two_processes(mode: str, folder: Path) -> dict[int, dict[str, Any]]:
    """Return the result of each process that reached its end."""
    script = str(Path(__file__).with_name("parallel_under_torchrun.py"))
    subprocess.run([*TORCHRUN, script, str(folder), mode], env=ENVIRONMENT, check=True, timeout=120)
    return {int(path.stem): json.loads(path.read_text()) for path in folder.glob("*.json")}


def test_parts_add_up_and_only_the_last_is_summed_over_processes(tmp_path: Path) -> None:
    first, second = in_two_processes("sums", tmp_path).values()
    local = sorted(each["gradients"][0] for each in (first, second))
    # Twice as large as its loss says: DDP's mean over two processes makes the sum of it.
    assert local == [2.0, 4.0]
    assert first["gradients"][1] == second["gradients"][1] == (1 + 10) + (2 + 20)
    assert first["weight"] == second["weight"]
    assert first["names"] == ["first.bias", "first.weight", "second.bias", "second.weight"]


def test_a_process_that_ends_in_the_backward_pass_is_reported_by_the_others(tmp_path: Path) -> None:
    results = in_two_processes("ends", tmp_path)
    assert list(results) == [0] and results[0]["error"] == "PeerError", results
    assert "\n" not in results[0]["message"]


def test_an_error_of_its_own_is_not_taken_for_that_of_another_process(tmp_path: Path) -> None:
    """Memory that runs out in the backward pass has advice of its own."""
    for result in in_two_processes("fails", tmp_path).values():
        assert result["error"] == "RuntimeError" and "out of memory" in result["message"]


def test_one_process_computes_on_the_model_itself() -> None:
    model = torch.nn.Linear(3, 2)
    wrapped = parallel.data_parallel(model)
    assert wrapped is model
    with parallel.adding_gradients(wrapped, last=True):
        parallel.backward(wrapped(torch.ones(1, 3)).sum())
    assert model.weight.grad is not None
    assert model.weight.grad.tolist() == [[1.0] * 3] * 2


@pytest.mark.parametrize("last", [False, True])
def test_one_process_reports_its_errors_as_they_are(last: bool) -> None:
    with (
        pytest.raises(RuntimeError, match="shapes cannot be multiplied"),
        parallel.adding_gradients(torch.nn.Linear(3, 2), last=last),
    ):
        torch.zeros(2, 3) @ torch.zeros(2, 3)
