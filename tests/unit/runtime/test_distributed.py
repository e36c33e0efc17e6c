"""Tests with real processes under torchrun, on the CPU: the same steps, results and log as from one process."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from speech_recognition.commands import ROOT
from speech_recognition.corpus.manifest import read_manifest, write_manifest
from speech_recognition.errors import ExitStatus, InputError
from speech_recognition.mlperf.check import check_log
from speech_recognition.runs import checkpoint
from speech_recognition.runtime.distributed import Launch

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
TINY = [
    "model.conv_channels=2",
    "model.rnn_units=8",
    "data.batch_size=8",
    "data.eval_batch_size=2",
    "data.workers=0",
    "training.epochs=3",
    "training.save_steps=1",
    "training.target_wer=0",
    "submission.division=open",
]


def steps(processes: int, dataset: Path, out: Path, *arguments: object) -> dict[str, Any]:
    script = [str(Path(__file__).with_name("steps_under_torchrun.py")), *map(str, (dataset, out, *arguments))]
    command = [sys.executable, *script] if processes == 1 else [*TORCHRUN, str(processes), *script]
    subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, timeout=120)
    result: dict[str, Any] = torch.load(out, weights_only=True)
    return result


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm().clamp(min=1e-12))


@pytest.mark.parametrize(
    ("processes", "batch_size", "accumulation"),
    [(2, 8, 1), (4, 8, 2), (4, 2, 1)],
    ids=["2", "4, accumulated", "4, two of them with nothing"],
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


def arguments(dataset: Path, folder: Path, *more: object) -> list[str]:
    sets = [word for assignment in TINY for word in ("--set", assignment)]
    options = ["--preset", "mini", "--data-dir", dataset, "--output-dir", folder, "--device", "cpu", *sets, *more]
    return ["-m", "speech_recognition", "train", *map(str, options)]


def call(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix(":::MLLOG ")) for line in text.splitlines() if line.startswith(":::MLLOG ")]


@pytest.fixture(scope="module")
def pair(tone_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A run of two processes."""
    folder = tmp_path_factory.mktemp("pair") / "run"
    result = call(*arguments(tone_dataset, folder, "--num-gpus", 2, "--seed", 1, "--timed"))
    result.args = folder
    return result


def test_a_run_of_two_processes_has_one_log_which_passes(pair: subprocess.CompletedProcess[str]) -> None:
    assert pair.returncode == 3, pair.stderr
    log = pair.args / "speech_ds2.out"
    assert pair.stdout == log.read_text()
    assert [str(v) for v in check_log(log, "open") if "run_stop" not in str(v)] == []
    values = {event["key"]: event["value"] for event in events(pair.stdout)}
    assert (values["global_batch_size"], values["micro_batch_size"], values["eval_samples"]) == (8, 4, 6)
    assert pair.stderr.count("hypothesis:") == 9


def test_all_processes_wait_for_the_report(pair: subprocess.CompletedProcess[str]) -> None:
    assert (pair.args / "report.html").is_file() and (pair.args / "charts" / "wer_by_speaker.png").is_file()
    assert "stopped by" not in pair.stderr and "OMP_NUM_THREADS" not in pair.stderr


def test_a_missed_target_is_no_failure_to_torchs_launcher(pair: subprocess.CompletedProcess[str]) -> None:
    assert pair.returncode == ExitStatus.TARGET_MISSED
    assert not re.search(r"^[EW]\d{4} |Traceback|torchrun", pair.stderr, re.MULTILINE), pair.stderr


def test_its_losses_and_error_rates_are_those_of_one_process(
    pair: subprocess.CompletedProcess[str], tone_dataset: Path, tmp_path: Path
) -> None:
    assert call(*arguments(tone_dataset, tmp_path / "run", "--seed", 1)).returncode == 3
    for together, alone in zip(table(pair.args), table(tmp_path / "run"), strict=True):
        assert float(together["loss"]) == pytest.approx(float(alone["loss"]), rel=1e-4)
        assert float(together["wer"]) == pytest.approx(float(alone["wer"]), abs=10)


def wait_for(path: Path, run: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert run.poll() is None
        time.sleep(0.001)


def end(*runs: subprocess.Popen[str]) -> None:
    """Leave nothing behind, whatever happened."""
    for run in runs:
        if run.poll() is None:
            subprocess.run(["pkill", "-KILL", "-P", str(run.pid)], check=False)
            run.kill()
        run.communicate()


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_killed_worker_comes_back_within_the_clock(
    pair: subprocess.CompletedProcess[str], tone_dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    command = [*TORCHRUN, "2", "--max-restarts", "2", *arguments(tone_dataset, folder, "--seed", 1, "--timed")]
    run = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(folder / "checkpoints" / "last.pt", run)
        victims = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout
        os.kill(int(victims.split()[-1]), signal.SIGKILL)
        output, errors = run.communicate(timeout=120)
    finally:
        end(run)
    assert run.returncode == 1  # torchrun's own, whatever a process ends with
    ours = [line for line in errors.partition("Traceback")[0].splitlines() if not re.match(r"[EW]\d{4} ", line)]
    assert ours[-1] == "the target was missed: torchrun reports this as a failure, and its exit status is 1"
    snapshots = [checkpoint.read(each / "checkpoints" / "last.pt") for each in (folder, pair.args)]
    assert checkpoint.digest([snapshots[0].model, snapshots[0].optimizer]) == checkpoint.digest(
        [snapshots[1].model, snapshots[1].optimizer]
    )
    assert [row["wer"] for row in table(folder)] == [row["wer"] for row in table(pair.args)]
    assert [path.name for path in folder.glob("*.out")] == ["speech_ds2.out"]
    assert output == (folder / "speech_ds2.out").read_text()
    without_times = [[(event["key"], event["value"]) for event in events(text)] for text in (output, pair.stdout)]
    assert without_times[0] == without_times[1]
    assert output.index("STARTING") < output.index("ENDING")
    assert output.count("STARTING") == output.count("RESULT,") == 1


def test_nothing_of_the_processes_outlives_their_run(tmp_path: Path) -> None:
    script = tmp_path / "leaves.py"
    script.write_text(
        "import os, pathlib, torch\n"
        "from speech_recognition.runtime import distributed\n"
        "with distributed.joined(distributed.Launch.of(os.environ), 'cpu'):\n"
        "    weight = torch.nn.Parameter(distributed.all_reduce(torch.ones(3)))\n"
        "    weight.grad = torch.ones(3)\n"
        "    torch.optim.AdamW([weight]).step()\n"
        "threads = sorted(path.read_text().strip() for path in pathlib.Path('/proc/self/task').glob('*/comm'))\n"
        "print(threads)\n"
    )
    result = subprocess.run([*TORCHRUN, "2", str(script)], env=ENVIRONMENT, capture_output=True, text=True, timeout=60)
    assert result.stdout.count("[") == 2 and "gloo" not in result.stdout, result.stderr


def on_two_machines(dataset: Path, folder: Path, port: int, **variables: str) -> list[subprocess.Popen[str]]:
    """Two torchruns that take this machine for two, each with a process."""
    meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}", "--rdzv-id=two", "--local-addr=localhost"]
    command = [*TORCHRUN[:-2], "--nnodes=2", "--nproc-per-node=1", "--max-restarts=2", *meeting]
    command += arguments(dataset, folder, "--seed", 1, "--timed")
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen(command, env=ENVIRONMENT | variables, **pipes) for _ in range(2)]


@pytest.mark.slow
def test_a_worker_killed_on_another_machine_comes_back(
    pair: subprocess.CompletedProcess[str], tone_dataset: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    runs = on_two_machines(tone_dataset, folder, free_port(), TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1")
    try:
        wait_for(folder / "checkpoints" / "last.pt", runs[0])
        (victim,) = subprocess.run(["pgrep", "-P", str(runs[1].pid)], stdout=subprocess.PIPE, check=True).stdout.split()
        os.kill(int(victim), signal.SIGKILL)
        outputs = [run.communicate(timeout=150)[0] for run in runs]
    finally:
        end(*runs)
    assert [row["wer"] for row in table(folder)] == [row["wer"] for row in table(pair.args)]
    assert [path.name for path in folder.glob("*.out")] == ["speech_ds2.out"]
    assert sorted(outputs)[-1] == (folder / "speech_ds2.out").read_text()


def test_a_restart_that_would_find_old_addresses_is_refused(tone_dataset: Path, tmp_path: Path) -> None:
    runs = on_two_machines(tone_dataset, tmp_path / "run", free_port())
    try:
        errors = [run.communicate(timeout=60)[1] for run in runs]
    finally:
        end(*runs)
    assert all("set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun" in text for text in errors)
    assert not (tmp_path / "run").exists()


def test_a_signal_to_one_of_them_saves_and_ends_all(tone_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*TORCHRUN, "2", *arguments(tone_dataset, folder, "--seed", 1, "--set", "training.epochs=10000")]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        while "epoch_start" not in (run.stdout.readline() if run.stdout else ""):
            assert run.poll() is None
        victims = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout
        os.kill(int(victims.split()[-1]), signal.SIGUSR1)
        output, errors = run.communicate(timeout=60)
    assert run.returncode != 0 and "saved: " in errors
    assert events(output)[-1]["key"] == "run_stop" and events(output)[-1]["metadata"]["status"] == "aborted"
    assert checkpoint.read(folder / "checkpoints" / "last.pt").seed == 1


def test_a_signal_to_the_command_saves_and_gives_its_status(tone_dataset: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options = arguments(tone_dataset, folder, "--num-gpus", 2, "--set", "training.epochs=10000")
    with subprocess.Popen(
        [sys.executable, *options], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        while "epoch_start" not in (run.stdout.readline() if run.stdout else ""):
            assert run.poll() is None
        run.send_signal(signal.SIGUSR1)
        output, errors = run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGUSR1 and "saved: " in errors
    assert events(output)[-1]["key"] == "run_stop"
    assert checkpoint.read(folder / "checkpoints" / "last.pt").tally["steps"] > 0


def test_a_fault_in_one_process_ends_all_in_one_line(tone_dataset: Path, tmp_path: Path) -> None:
    manifest = tone_dataset / "manifests" / "train.csv"
    utterances, damaged = read_manifest(manifest), tmp_path / "damaged.wav"
    damaged.write_bytes(utterances[-1].audio.read_bytes()[:900])
    write_manifest(
        tmp_path / "bad.csv", [*utterances[:-1], utterances[-1].__class__(**vars(utterances[-1]) | {"audio": damaged})]
    )
    options = arguments(tone_dataset, tmp_path / "run", "--num-gpus", 2, "--train-manifest", tmp_path / "bad.csv")
    result = call(*options)
    assert result.returncode == 2
    assert [line for line in result.stderr.splitlines() if line.startswith("error:") and "damaged.wav" in line]
    assert "Traceback" not in result.stderr
    assert events(result.stdout)[-1]["metadata"]["status"] == "aborted"


def test_a_batch_that_cannot_be_shared_is_refused(tone_dataset: Path, tmp_path: Path) -> None:
    result = call(*arguments(tone_dataset, tmp_path / "run", "--num-gpus", 2, "--set", "data.batch_size=9"))
    assert result.returncode == 2 and result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert errors == ["error: data.batch_size=9: must be a multiple of 2: 2 processes times data.accumulation_steps=1"]
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are GPUs here")
def test_more_gpus_than_there_are_is_refused(tone_dataset: Path, tmp_path: Path) -> None:
    result = call(*arguments(tone_dataset, tmp_path / "run", "--device", "auto", "--num-gpus", 2))
    assert result.returncode == 2
    assert result.stderr == "error: --num-gpus 2: torch sees 0 GPUs; use fewer, or --device cpu\n"


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


def descendants(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [each for child in map(int, found) for each in (child, *descendants(child))]


def runs(pid: int) -> bool:
    path = Path("/proc", str(pid), "stat")
    return path.exists() and path.read_text().split()[2] != "Z"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_processes_and_their_workers_end_with_torchrun(
    tone_dataset: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """SIGKILL at once, SIGTERM to the group with all saved."""
    folder = tmp_path / "run"
    options = arguments(tone_dataset, folder, "--num-gpus", 2, "--set", "training.epochs=10000")
    options += ["--set", "data.workers=1", "--set", "training.save_steps=0"]
    with subprocess.Popen(
        [sys.executable, *options],
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as run:
        while "epoch_start" not in (run.stdout.readline() if run.stdout else ""):
            assert run.poll() is None
        started = descendants(run.pid)
        os.killpg(run.pid, number)
        output, errors = run.communicate(timeout=60)
    time.sleep(0.2)
    assert len(started) >= 2 and not any(runs(pid) for pid in started)
    assert "Traceback" not in errors, errors
    if number == signal.SIGTERM:
        assert run.returncode == 128 + number and "saved: " in errors
        assert events(output)[-1]["key"] == "run_stop"
        assert checkpoint.read(folder / "checkpoints" / "last.pt").tally["steps"] > 0
