"""Tests of whole runs in two processes, also after a restart by torchrun: results and log are those of one process."""

import csv
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.commands import ROOT
from speech_recognition.errors import ExitStatus
from speech_recognition.mlperf.check import check_log
from speech_recognition.runs import checkpoint

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

Words = Callable[..., list[str]]
Ended = subprocess.CompletedProcess[str]


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix(":::MLLOG ")) for line in text.splitlines() if line.startswith(":::MLLOG ")]


@pytest.fixture(scope="module")
def pair(train: Callable[..., Ended], tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """Return a timed run of two processes, with its folder in `args`."""
    folder = tmp_path_factory.mktemp("pair") / "run"
    result = train(folder, "--num-gpus", 2, "--seed", 1, "--timed")
    result.args = folder
    return result


def test_a_run_of_two_processes_has_one_log_which_passes(pair: Ended) -> None:
    assert pair.returncode == 3, pair.stderr
    log = pair.args / "speech_ds2.out"
    assert pair.stdout == log.read_text()
    assert [str(v) for v in check_log(log, "open") if "run_stop" not in str(v)] == []
    values = {event["key"]: event["value"] for event in events(pair.stdout)}
    assert (values["global_batch_size"], values["micro_batch_size"], values["eval_samples"]) == (8, 4, 6)
    assert pair.stderr.count("hypothesis:") == 9


def test_all_processes_wait_for_the_report(pair: Ended) -> None:
    # The last chart that is drawn of one speaker and one subset.
    assert (pair.args / "report.html").is_file() and (pair.args / "charts" / "wer_by_length.svg").is_file()
    assert "stopped by" not in pair.stderr and "OMP_NUM_THREADS" not in pair.stderr


def test_a_missed_target_is_no_failure_to_torchs_launcher(pair: Ended) -> None:
    assert pair.returncode == ExitStatus.TARGET_MISSED
    assert not re.search(r"^[EW]\d{4} |Traceback|torchrun", pair.stderr, re.MULTILINE), pair.stderr


def test_its_losses_and_error_rates_are_those_of_one_process(
    pair: Ended, train: Callable[..., Ended], tmp_path: Path
) -> None:
    assert train(tmp_path / "run", "--seed", 1).returncode == 3
    for together, alone in zip(table(pair.args), table(tmp_path / "run"), strict=True):
        assert float(together["loss"]) == pytest.approx(float(alone["loss"]), rel=1e-4)
        assert float(together["wer"]) == pytest.approx(float(alone["wer"]), abs=10)


def wait_for(path: Path, run: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert run.poll() is None
        time.sleep(0.001)


def end(*runs: subprocess.Popen[str]) -> None:
    """End what is left of some runs, whatever happened."""
    for run in runs:
        if run.poll() is None:
            subprocess.run(["pkill", "-KILL", "-P", str(run.pid)], check=False)
            run.kill()
        run.communicate()


def free_port() -> int:
    with socket.create_server(("localhost", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_a_killed_worker_comes_back_within_the_clock(pair: Ended, words: Words, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*TORCHRUN, "2", "--max-restarts", "2", *words(folder, "--seed", 1, "--timed")]
    run = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        wait_for(folder / "checkpoints" / "last.pt", run)
        victims = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout
        os.kill(int(victims.split()[-1]), signal.SIGKILL)
        output, errors = run.communicate(timeout=300)
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


def on_two_machines(train: list[str], port: int, **variables: str) -> list[subprocess.Popen[str]]:
    """Start two torchruns that take this machine for two, each with one process of `train`."""
    meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint=localhost:{port}", "--rdzv-id=two", "--local-addr=localhost"]
    command = [*TORCHRUN[:-2], "--nnodes=2", "--nproc-per-node=1", "--max-restarts=2", *meeting]
    command += train
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return [subprocess.Popen(command, env=ENVIRONMENT | variables, **pipes) for _ in range(2)]


@pytest.mark.slow
def test_a_worker_killed_on_another_machine_comes_back(pair: Ended, words: Words, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train = words(folder, "--seed", 1, "--timed")
    runs = on_two_machines(train, free_port(), TORCH_DISABLE_SHARE_RDZV_TCP_STORE="1")
    try:
        wait_for(folder / "checkpoints" / "last.pt", runs[0])
        (victim,) = subprocess.run(["pgrep", "-P", str(runs[1].pid)], stdout=subprocess.PIPE, check=True).stdout.split()
        os.kill(int(victim), signal.SIGKILL)
        outputs = [run.communicate(timeout=300)[0] for run in runs]
    finally:
        end(*runs)
    assert [row["wer"] for row in table(folder)] == [row["wer"] for row in table(pair.args)]
    assert [path.name for path in folder.glob("*.out")] == ["speech_ds2.out"]
    assert sorted(outputs)[-1] == (folder / "speech_ds2.out").read_text()


def test_a_restart_that_would_find_old_addresses_is_refused(words: Words, tmp_path: Path) -> None:
    runs = on_two_machines(words(tmp_path / "run", "--seed", 1, "--timed"), free_port())
    try:
        errors = [run.communicate(timeout=300)[1] for run in runs]
    finally:
        end(*runs)
    assert all("set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun" in text for text in errors)
    assert not (tmp_path / "run").exists()
