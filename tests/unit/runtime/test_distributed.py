"""Tests of the communication between real processes under torchrun: the same steps as in one process; its variables."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from speech_recognition.commands import ROOT
from speech_recognition.errors import InputError
from speech_recognition.runtime import distributed
from speech_recognition.runtime.distributed import Launch

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def steps(processes: int, dataset: Path, out: Path, *arguments: object) -> dict[str, Any]:
    script = [str(Path(__file__).with_name("steps_under_torchrun.py")), *map(str, (dataset, out, *arguments))]
    command = [sys.executable, *script] if processes == 1 else [*TORCHRUN, str(processes), *script]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=300)
    result: dict[str, Any] = torch.load(out, weights_only=True)
    return result


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm().clamp(min=1e-12))


@pytest.mark.parametrize(
    ("processes", "batch_size", "accumulation"),
    [(2, 8, 1), (4, 8, 2), (4, 2, 1), (3, 5, 2)],
    ids=["2", "4, accumulated", "4, two of them with nothing", "3, one of them with nothing in the last part"],
)
def test_one_step_is_that_of_one_process(
    tone_dataset: Path, tmp_path: Path, processes: int, batch_size: int, accumulation: int
) -> None:
    alone, together = (
        steps(count, tone_dataset, tmp_path / f"{count}.pt", "float32", 1, batch_size, accumulation)
        for count in (1, processes)
    )
    assert together["losses"] == pytest.approx(alone["losses"], rel=1e-6)
    gradients = [torch.cat([each.flatten() for each in result["gradients"].values()]) for result in (together, alone)]
    # Either one is 4e-6 off the gradient in float64: convolutions sum a hundred thousand cells that nearly cancel.
    assert relative(*gradients) < 5e-6


def test_twenty_steps_in_float64(tone_dataset: Path, tmp_path: Path) -> None:
    alone, together = (steps(count, tone_dataset, tmp_path / f"{count}.pt", "float64", 20, 8, 1) for count in (1, 4))
    assert together["losses"] == pytest.approx(alone["losses"], rel=1e-9)
    assert len(alone["losses"]) == 20 and alone["losses"][-1] < alone["losses"][0]
    for name, value in alone["model"].items():  # the weights, and BatchNorm's running statistics
        # A bias before BatchNorm changes nothing; its gradient is rounding alone, which AdamW scales up.
        assert name.endswith("conv.bias") or relative(together["model"][name], value) < 1e-9, name


def test_nothing_of_the_processes_outlives_their_run(tmp_path: Path) -> None:
    script = tmp_path / "leaves.py"
    script.write_text(
        "import os, pathlib, torch\n"
        "from speech_recognition.runtime import distributed\n"
        "from speech_recognition.training.parallel import data_parallel\n"
        "def step():\n"
        "    model = torch.nn.Linear(3, 1)\n"
        "    data_parallel(model)(distributed.all_reduce(torch.ones(3))).sum().backward()\n"
        "    torch.optim.AdamW(model.parameters()).step()\n"
        "    raise ValueError('after a step')\n"
        "try:\n"
        "    with distributed.joined(distributed.Launch.of(os.environ), 'cpu'):\n"
        "        step()\n"
        "except ValueError:\n"
        "    pass\n"
        "threads = sorted(path.read_text().strip() for path in pathlib.Path('/proc/self/task').glob('*/comm'))\n"
        "print(threads)\n"
    )
    result = subprocess.run([*TORCHRUN, "2", str(script)], env=ENVIRONMENT, capture_output=True, text=True, timeout=300)
    assert result.stdout.count("[") == 2 and "gloo" not in result.stdout, result.stderr


@pytest.mark.parametrize(("change", "message"), [
    ({"TORCHELASTIC_RUN_ID": None}, "RANK is set, but TORCHELASTIC_RUN_ID is not"),
    ({"LOCAL_RANK": None}, "LOCAL_RANK: missing or not a number"),
    ({"RANK": "one"}, "RANK: missing or not a number"),
    ({"MASTER_ADDR": None, "MASTER_PORT": "x"}, "MASTER_PORT, MASTER_ADDR: missing or not a number"),
    ({"TORCHELASTIC_MAX_RESTARTS": ""}, "TORCHELASTIC_MAX_RESTARTS: missing or not a number"),
])  # fmt: skip
def test_half_of_torchruns_variables_are_refused(change: dict[str, str | None], message: str) -> None:
    names = ["RANK", "LOCAL_RANK", "TORCHELASTIC_RESTART_COUNT", "TORCHELASTIC_MAX_RESTARTS", "MASTER_PORT"]
    whole = dict.fromkeys(names, "0") | {"WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "1", "MASTER_ADDR": "localhost"}
    whole |= {"TORCHELASTIC_RUN_ID": "job"}
    assert Launch.of(whole).local_rank == 0
    with pytest.raises(InputError, match=message) as caught:
        Launch.of({name: value for name, value in (whole | change).items() if value is not None})
    assert "\n" not in str(caught.value)


def test_one_process_of_a_cluster_without_torchrun_is_alone() -> None:
    assert Launch.of({"RANK": "0", "WORLD_SIZE": "1"}) == Launch()


def test_several_processes_need_a_device_that_they_can_communicate_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "choose_device", torch.device)
    with (
        pytest.raises(InputError, match="--device xpu: only CPUs and CUDA devices"),
        distributed.joined(Launch(local_rank=0), "xpu"),
    ):
        pass
