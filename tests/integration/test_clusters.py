"""Tests of the files that start the benchmark on clusters, with stand-ins for the cluster's commands."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from speech_recognition.cli import _parser
from speech_recognition.commands import ROOT

SLURM = ROOT / "script" / "slurm.sbatch"
STAND_INS = {
    "scontrol": 'case $1 in show) echo localhost ;; requeue) echo "$2" >"$FAKE/requeued" ;; esac',
    "srun": 'echo $$ >"$FAKE/step"; exec "$@"',
    "scancel": 'kill -USR1 "$(cat "$FAKE/step")"',
}
TINY = ["model.conv_channels=2", "model.rnn_units=8", "data.batch_size=4", "data.workers=0", "submission.division=open"]


@pytest.fixture
def slurm(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a one-node job with stand-ins for Slurm's commands and a copy of the repository."""
    for name, script in STAND_INS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    shutil.copytree(ROOT / "script", tmp_path / "repo" / "script")
    shutil.copytree(ROOT / "speech_recognition", tmp_path / "repo" / "speech_recognition")
    shutil.copyfile(ROOT / "params.py", tmp_path / "repo" / "params.py")
    return os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "FAKE": str(tmp_path),
        "PYTHON": sys.executable,
        "SLURM_SUBMIT_DIR": str(tmp_path / "repo"),
        "SLURM_JOB_ID": "4711",
        "SLURM_JOB_NODELIST": "node[1]",
        "SLURM_NNODES": "1",
        "PROCESSES_PER_NODE": "2",
        "RENDEZVOUS_PORT": "29577",
        "OMP_NUM_THREADS": "1",
    }


def job(environment: dict[str, str], dataset: Path, *assignments: str) -> subprocess.Popen[str]:
    sets = [word for assignment in (*TINY, *assignments) for word in ("--set", assignment)]
    command = ["bash", str(SLURM), "mini", "--device", "cpu", "--data-dir", str(dataset), *sets]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def test_a_job_whose_time_is_up_saves_and_is_queued_again(
    slurm: dict[str, str], tone_dataset: Path, tmp_path: Path
) -> None:
    options = ["training.epochs=400", "training.target_wer=0", "training.save_steps=1000"]
    checkpoints = tmp_path / "repo" / "results" / "mini_4711" / "checkpoints"
    with job(slurm, tone_dataset, *options) as running:
        while not (checkpoints / "epoch_01.pt").exists():
            assert running.poll() is None, running.communicate()
            time.sleep(0.05)
        running.send_signal(signal.SIGUSR1)  # Slurm sends it because of --signal=B:USR1@120
        output, errors = running.communicate(timeout=100)
    assert (tmp_path / "requeued").read_text() == "4711\n"
    assert running.returncode != 0 and "saved: " in errors
    assert '"aborted"' not in output  # the job will be restarted, so the log stays open
    with job(slurm, tone_dataset, *options) as again:
        for line in again.stdout or []:
            if '"key": "resumed"' in line:
                break
        os.killpg(again.pid, signal.SIGKILL)
        assert '"resumed", "value": true' in line


def test_a_job_outside_of_slurm_is_refused() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
    result = subprocess.run(["bash", str(SLURM)], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode != 0 and "submit it with sbatch" in result.stderr


def container() -> dict[str, Any]:
    manifest = yaml.safe_load((ROOT / "script" / "pytorchjob.yaml").read_text())
    assert (manifest["apiVersion"], manifest["kind"]) == ("kubeflow.org/v1", "PyTorchJob")
    spec = manifest["spec"]
    worker = spec["pytorchReplicaSpecs"]["Worker"]
    assert worker["replicas"] == spec["elasticPolicy"]["minReplicas"] == spec["elasticPolicy"]["maxReplicas"]
    found: dict[str, Any] = worker["template"]["spec"]
    assert int(spec["nprocPerNode"]) == found["containers"][0]["resources"]["limits"]["nvidia.com/gpu"]
    return found


def test_the_kubernetes_job_is_a_command_of_ours() -> None:
    command = container()["containers"][0]["command"]
    ours = command.index("speech_recognition")
    assert command[:ours] == ["python", "-m", "torch.distributed.run", "-m"]
    options = _parser().parse_args(command[ours + 1 :])
    assert (options.command, options.preset, options.timed, options.resume) == ("train", "reference", True, 0)


def test_its_folders_are_mounted() -> None:
    pod = container()
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    command = " ".join(pod["containers"][0]["command"])
    assert f"--data-dir={mounts['data']}/" in command and f"--output-dir={mounts['results']}/" in command
