"""Commands that a signal, a killed worker or a closed terminal ends: their status, one line of error, the log's end."""

import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT

PROGRAM = [sys.executable, "-m", "speech_recognition"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def endless(dataset: Path, run: Path, *assignments: str) -> list[str]:
    """Return the command of a tiny run into the folder `run` that never reaches its target."""
    tiny = ["model.conv_channels=2", "model.rnn_units=8", "submission.division=open"]
    tiny += ["training.target_wer=0", "training.epochs=9999", *assignments]
    sets = [word for assignment in tiny for word in ("--set", assignment)]
    return [*PROGRAM, "train", "--preset", "mini", "--data-dir", str(dataset), "--output-dir", str(run), *sets]


@pytest.mark.parametrize(
    ("number", "workers", "group"),
    [(signal.SIGUSR1, 0, False), (signal.SIGHUP, 1, True), (signal.SIGINT, 1, True)],
    ids=["usr1", "hup-group-workers", "int-group-workers"],
)
def test_a_signal_ends_the_log_and_gives_its_status(
    tone_dataset: Path, tmp_path: Path, number: signal.Signals, workers: int, group: bool
) -> None:
    process = subprocess.Popen(
        endless(tone_dataset, tmp_path / "run", f"data.workers={workers}"),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = tmp_path / "run" / "speech_ds2.out"
    deadline = time.monotonic() + 300
    while not (log.exists() and "eval_stop" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    # A terminal's interrupt goes to the workers too.
    (os.killpg if group else os.kill)(process.pid, number)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + number, errors
    assert '"status": "aborted"' in output.splitlines()[-1]
    assert errors.count(f"stopped by {number.name}") == 1 and "Traceback" not in errors
    assert log.read_text() == output
    assert (tmp_path / "run" / "metrics.csv").exists()


def test_a_killed_worker_ends_the_run_in_one_line_and_loses_nothing(tone_dataset: Path, tmp_path: Path) -> None:
    with subprocess.Popen(
        endless(tone_dataset, tmp_path / "run", "data.workers=1", "data.batch_size=1"),
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while "epoch_start" not in (process.stdout.readline() if process.stdout else ""):
            assert process.poll() is None
        while not (children := subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True).stdout.split()):
            time.sleep(0.001)
        os.kill(int(children[0]), signal.SIGKILL)
        output, errors = process.communicate(timeout=300)
    assert process.returncode == 1 and "Traceback" not in errors, errors
    (line,) = (line for line in errors.splitlines() if line.startswith("error: "))
    assert f"process {int(children[0])}," in line and "SIGKILL" in line and "lower data.workers (1)" in line
    assert '"run_stop"' in output.splitlines()[-1]
    assert (tmp_path / "run" / "checkpoints" / "last.pt").is_file() and "saved: " in errors


def test_a_terminal_that_is_closed_ends_the_run_with_a_checkpoint(tone_dataset: Path, tmp_path: Path) -> None:
    command = endless(tone_dataset, tmp_path / "run", "data.workers=1")
    child, terminal = pty.fork()
    if child == 0:
        os.execve(sys.executable, command, ENVIRONMENT)
    log = tmp_path / "run" / "speech_ds2.out"
    while not (log.exists() and "epoch_start" in log.read_text()):
        os.read(terminal, 65536)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGHUP
    assert '"run_stop"' in log.read_text().splitlines()[-1]
    assert (tmp_path / "run" / "checkpoints" / "last.pt").is_file()


@pytest.mark.parametrize("moment", [0.02, 0.3, 0.8])
def test_an_interrupt_while_torch_is_loaded_is_one_line(tone_dataset: Path, tmp_path: Path, moment: float) -> None:
    with subprocess.Popen(
        [*PROGRAM, "evaluate", tmp_path / "gone.pt", tone_dataset / "manifests" / "val.csv"],
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        status = Path(f"/proc/{process.pid}/status")
        ours = 0x4201  # SIGHUP, SIGUSR1 and SIGTERM; SIGINT has a handler of Python's before
        while int(status.read_text().split("SigCgt:")[1].split()[0], 16) & ours != ours:
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (130, "stopped by SIGINT\n")


def test_an_interrupt_that_also_ends_the_reader_is_still_one(tone_dataset: Path, tmp_path: Path) -> None:
    process = subprocess.Popen(
        endless(tone_dataset, tmp_path / "run"), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    while b"eval_stop" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(timeout=300) == 128 + signal.SIGINT
    assert '"status": "aborted"' in (tmp_path / "run" / "speech_ds2.out").read_text().splitlines()[-1]
