"""Tests of what ends a run of two processes: a signal, a fault in one of them, options that are refused."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from speech_recognition.commands import ROOT
from speech_recognition.corpus.manifest import read_manifest, write_manifest
from speech_recognition.runs import checkpoint

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

Words = Callable[..., list[str]]
Train = Callable[..., subprocess.CompletedProcess[str]]


def last_line_is_aborted(log: str) -> bool:
    """Return whether the last MLLOG line of a log is a `run_stop` with the status `aborted`."""
    line = [line for line in log.splitlines() if line.startswith(":::MLLOG ")][-1]
    return '"run_stop"' in line and '"aborted"' in line


def test_a_signal_to_one_of_them_saves_and_ends_all(words: Words, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [*TORCHRUN, "2", *words(folder, "--seed", 1, "--set", "training.epochs=10000")]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        while "epoch_start" not in (run.stdout.readline() if run.stdout else ""):
            assert run.poll() is None
        victims = subprocess.run(["pgrep", "-P", str(run.pid)], capture_output=True, text=True, check=True).stdout
        os.kill(int(victims.split()[-1]), signal.SIGUSR1)
        output, errors = run.communicate(timeout=300)
    assert run.returncode != 0 and "saved: " in errors
    assert last_line_is_aborted(output)
    assert checkpoint.read(folder / "checkpoints" / "last.pt").seed == 1


def test_a_signal_to_the_command_saves_and_gives_its_status(words: Words, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options = words(folder, "--num-gpus", 2, "--set", "training.epochs=10000")
    with subprocess.Popen(
        [sys.executable, *options], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        while "epoch_start" not in (run.stdout.readline() if run.stdout else ""):
            assert run.poll() is None
        run.send_signal(signal.SIGUSR1)
        output, errors = run.communicate(timeout=300)
    assert run.returncode == 128 + signal.SIGUSR1 and "saved: " in errors
    assert last_line_is_aborted(output)
    assert checkpoint.read(folder / "checkpoints" / "last.pt").tally["steps"] > 0


def test_a_fault_in_one_process_ends_all_in_one_line(train: Train, tone_dataset: Path, tmp_path: Path) -> None:
    manifest = tone_dataset / "manifests" / "train.csv"
    utterances, damaged = read_manifest(manifest), tmp_path / "damaged.wav"
    damaged.write_bytes(utterances[-1].audio.read_bytes()[:900])
    write_manifest(
        tmp_path / "bad.csv", [*utterances[:-1], utterances[-1].__class__(**vars(utterances[-1]) | {"audio": damaged})]
    )
    result = train(tmp_path / "run", "--num-gpus", 2, "--train-manifest", tmp_path / "bad.csv")
    assert result.returncode == 2
    assert [line for line in result.stderr.splitlines() if line.startswith("error:") and "damaged.wav" in line]
    assert "Traceback" not in result.stderr
    assert last_line_is_aborted(result.stdout)


def test_a_batch_that_cannot_be_shared_is_refused(train: Train, tmp_path: Path) -> None:
    result = train(tmp_path / "run", "--num-gpus", 2, "--set", "data.batch_size=9")
    assert result.returncode == 2 and result.stdout == ""
    errors = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert errors == ["error: data.batch_size=9: must be a multiple of 2: 2 processes times data.accumulation_steps=1"]
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there are GPUs here")
def test_more_gpus_than_there_are_is_refused(train: Train, tmp_path: Path) -> None:
    result = train(tmp_path / "run", "--device", "auto", "--num-gpus", 2)
    assert result.returncode == 2
    assert result.stderr == "error: --num-gpus 2: torch sees 0 GPUs; use fewer, or --device cpu\n"


def descendants(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [each for child in map(int, found) for each in (child, *descendants(child))]


def runs(pid: int) -> bool:
    path = Path("/proc", str(pid), "stat")
    return path.exists() and path.read_text().split()[2] != "Z"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_processes_and_their_workers_end_with_torchrun(
    words: Words, tmp_path: Path, number: signal.Signals
) -> None:
    """Send SIGKILL, which ends all at once, or SIGTERM to the group, after which the run is saved."""
    folder = tmp_path / "run"
    options = words(folder, "--num-gpus", 2, "--set", "training.epochs=10000")
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
        output, errors = run.communicate(timeout=300)
    time.sleep(0.2)
    assert len(started) >= 2 and not any(runs(pid) for pid in started)
    assert "Traceback" not in errors, errors
    if number == signal.SIGTERM:
        assert run.returncode == 128 + number and "saved: " in errors
        assert last_line_is_aborted(output)
        assert checkpoint.read(folder / "checkpoints" / "last.pt").tally["steps"] > 0
