"""The commands as a user types them: processes, exit statuses, one line of error."""

import csv
import dataclasses
import errno
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from speech_recognition.cli import main
from speech_recognition.commands import ROOT, logs
from speech_recognition.corpus.manifest import read_manifest, write_manifest
from speech_recognition.errors import DivergedError, DownloadError, ExitStatus, InputError

TINY = ["--set", "model.conv_channels=2", "--set", "model.rnn_units=8", "--set", "submission.division=open"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "speech_recognition", *map(str, arguments)]


def call(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command(*arguments), cwd=cwd, env=environment, capture_output=True, text=True, timeout=120)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the one line with which a command is refused."""
    assert main([str(argument) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    return captured.err


@pytest.fixture
def train(tone_dataset: Path, tmp_path: Path) -> list[object]:
    return ["train", "--preset", "mini", "--data-dir", tone_dataset, "--output-dir", tmp_path / "run", *TINY]


@pytest.fixture(scope="module")
def trained(tone_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    """A timed run of one epoch from another folder, which misses the target."""
    folder = tmp_path_factory.mktemp("timed")
    options = ["--data-dir", tone_dataset, "--output-dir", "out", "--seed", 5, "--set", "training.epochs=1", *TINY]
    result = call("train", "--preset", "mini", "--timed", *options, cwd=folder)
    (folder / "stdout").write_text(result.stdout)
    result.args = folder
    return result


def test_a_timed_run_prints_the_block_around_the_log(trained: subprocess.CompletedProcess[str]) -> None:
    lines = [line for line in trained.stdout.splitlines() if not line.startswith(":::MLLOG")]
    assert lines[0].startswith("STARTING TIMING RUN AT 2")
    assert lines[1].startswith("parameters: {") and json.loads(lines[1].removeprefix("parameters: "))
    assert lines[2].startswith("epoch 1: loss ")
    assert re.fullmatch(r"target 23 not reached in 1 epochs: the best WER is [\d.]+, of epoch 1", lines[3])
    assert lines[4].startswith("ENDING TIMING RUN AT 2")
    name, task, seed, seconds, user, start = lines[5].split(",")
    assert (name, task, seed) == ("RESULT", "SPEECH_RECOGNITION", "5")
    assert seconds.isdecimal() and user and lines[0].endswith(start)
    assert any(line.startswith("NOT COMPLIANT: ") and "run_stop" in line for line in lines[6:])


def test_a_run_that_misses_the_target_exits_with_3(trained: subprocess.CompletedProcess[str]) -> None:
    assert trained.returncode == 3, trained.stderr


def test_the_results_hold_the_bytes_of_standard_output(trained: subprocess.CompletedProcess[str]) -> None:
    assert (trained.args / "out" / "speech_ds2.out").read_text() == trained.stdout


@pytest.mark.parametrize("redirections", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_do_no_harm(trained: subprocess.CompletedProcess[str], redirections: str) -> None:
    log = trained.args / "out" / "speech_ds2.out"
    command = f"'{sys.executable}' -m speech_recognition check-log --division open '{log}' {redirections}"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, shell=True, env=environment, check=False).returncode == 1  # it missed its target


def test_the_results_hold_what_the_run_did(trained: subprocess.CompletedProcess[str]) -> None:
    folder = trained.args / "out"
    files = {"params.json", "system.json", "metrics.csv", "steps.csv", "utterances.csv", "curves.png", "report.html"}
    assert {path.name for path in folder.iterdir()} == files | {"speech_ds2.out", "checkpoints", "charts"}
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "23, not reached" in (folder / "report.html").read_text()
    with (folder / "utterances.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    words, errors = (sum(int(row[name]) for row in rows) for name in ("words", "word_errors"))
    assert f"WER {100 * errors / words:.2f}," in trained.stdout


def test_evaluate_scores_a_checkpoint(
    trained: subprocess.CompletedProcess[str], tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, manifest = trained.args / "out" / "checkpoints" / "best.pt", tone_dataset / "manifests" / "val.csv"
    assert main(["evaluate", str(checkpoint), str(manifest), "--output", str(tmp_path / "rows.csv")]) == 0
    subset, total = capsys.readouterr().out.splitlines()
    assert subset.startswith("val-tones: WER ") and total.startswith("all: WER ")
    wer = (
        next(line for line in trained.stdout.splitlines() if line.startswith("epoch 1:")).split("WER ")[1].split(",")[0]
    )
    assert total.startswith(f"all: WER {wer}, ")
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 7


def test_check_log_names_what_is_wrong(
    trained: subprocess.CompletedProcess[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check-log", str(trained.args / "stdout"), "--division", "open"]) == 1
    assert "run_stop" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("number", "workers", "group"),
    [(signal.SIGUSR1, 0, False), (signal.SIGHUP, 1, True), (signal.SIGINT, 1, True)],
    ids=["usr1", "hup-group-workers", "int-group-workers"],
)
def test_a_signal_ends_the_log_and_gives_its_status(
    tone_dataset: Path, tmp_path: Path, number: signal.Signals, workers: int, group: bool
) -> None:
    options = ["--data-dir", tone_dataset, "--output-dir", tmp_path / "run", "--set", "training.epochs=9999", *TINY]
    options += ["--set", f"data.workers={workers}"]
    process = subprocess.Popen(
        command("train", "--preset", "mini", "--set", "training.target_wer=0", *options),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    log = tmp_path / "run" / "speech_ds2.out"
    deadline = time.monotonic() + 60
    while not (log.exists() and "eval_stop" in log.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    # A terminal's interrupt goes to the workers too.
    (os.killpg if group else os.kill)(process.pid, number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert '"status": "aborted"' in output.splitlines()[-1]
    assert errors.count(f"stopped by {number.name}") == 1 and "Traceback" not in errors
    assert log.read_text() == output
    assert (tmp_path / "run" / "metrics.csv").exists()


def test_a_killed_worker_ends_the_run_in_one_line_and_loses_nothing(tone_dataset: Path, tmp_path: Path) -> None:
    options = ["--data-dir", tone_dataset, "--output-dir", tmp_path / "run", "--set", "training.epochs=9999", *TINY]
    options += ["--set", "data.workers=1", "--set", "training.target_wer=0", "--set", "data.batch_size=1"]
    with subprocess.Popen(
        command("train", "--preset", "mini", *options),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while "epoch_start" not in (process.stdout.readline() if process.stdout else ""):
            assert process.poll() is None
        while not (children := subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True).stdout.split()):
            time.sleep(0.001)
        os.kill(int(children[0]), signal.SIGKILL)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "Traceback" not in errors, errors
    (line,) = (line for line in errors.splitlines() if line.startswith("error: "))
    assert f"process {int(children[0])}," in line and "SIGKILL" in line and "lower data.workers (1)" in line
    assert '"run_stop"' in output.splitlines()[-1]
    assert (tmp_path / "run" / "checkpoints" / "last.pt").is_file() and "saved: " in errors


def test_a_terminal_that_is_closed_ends_the_run_with_a_checkpoint(tone_dataset: Path, tmp_path: Path) -> None:
    options = ["--data-dir", tone_dataset, "--output-dir", tmp_path / "run", "--set", "training.epochs=9999", *TINY]
    options += ["--set", "data.workers=1", "--set", "training.target_wer=0"]
    child, terminal = pty.fork()
    if child == 0:
        os.execve(
            sys.executable, command("train", "--preset", "mini", *options), os.environ | {"PYTHONPATH": str(ROOT)}
        )
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
        command("evaluate", tmp_path / "gone.pt", tone_dataset / "manifests" / "val.csv"),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
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
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "stopped by SIGINT\n")


def test_an_interrupt_that_also_ends_the_reader_is_still_one(tone_dataset: Path, tmp_path: Path) -> None:
    options = ["--data-dir", tone_dataset, "--output-dir", tmp_path / "run", "--set", "training.epochs=9999", *TINY]
    process = subprocess.Popen(
        command("train", "--preset", "mini", "--set", "training.target_wer=0", *options),
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    while b"eval_stop" not in process.stdout.readline():
        pass
    process.send_signal(signal.SIGINT)
    process.stdout.close()
    assert process.wait(timeout=60) == 128 + signal.SIGINT
    assert '"status": "aborted"' in (tmp_path / "run" / "speech_ds2.out").read_text().splitlines()[-1]


def test_help_names_every_command_and_parameter(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["--help"])
    listed = capsys.readouterr().out
    for name in (
        "download",
        "synthesize",
        "prepare",
        "verify",
        "train",
        "evaluate",
        "check-log",
        "report",
        "score",
        "package",
    ):
        assert name in listed
        with pytest.raises(SystemExit, match="0"):
            main([name, "--help"])
    assert "optimizer.learning_rate=" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "trian"),
        ([], "COMMAND"),
        (["train", "--preset", "mimi"], "did you mean mini"),
        (["train", "--preset", "mini", "--set", "training.epochs=x"], "training.epochs=x"),
        (["train", "--seed", "-1"], "--seed"),
        (["train", "--seed", "one"], "a whole number from 0 to"),
        (["train", "--unknown"], "--unknown"),
        (["train", "--preset", "mini", "--data-dir", "nowhere"], "nowhere"),
        (["evaluate", "gone.pt", "gone.csv"], "gone.csv"),
        (["check-log", "gone.out"], "gone.out"),
        (["verify", "mini", "--data-dir", "nowhere"], "nowhere"),
        (["verify", "--data-dir", "nowhere"], "nowhere"),
        (["download", "everything"], "everything"),
        (["prepare", "nowhere", "--data-dir", "out"], "nowhere"),
    ],
)
def test_bad_usage_is_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refusal(capsys, *arguments)
    assert list(tmp_path.iterdir()) == []


def test_training_faults_before_the_clock_write_nothing(
    train: list[object],
    tone_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty" in refusal(capsys, *train, "--data-dir", tmp_path / "empty")
    assert "--device tpu" in refusal(capsys, *train, "--device", "tpu")
    assert "--device cuda:99" in refusal(capsys, *train, "--device", "cuda:99")
    assert "gone.csv" in refusal(capsys, *train, "--train-manifest", tmp_path / "gone.csv")
    first, *others = read_manifest(tone_dataset / "manifests" / "train.csv")
    write_manifest(tmp_path / "moved.csv", [dataclasses.replace(first, audio=tmp_path / "moved.wav"), *others])
    assert "moved.wav" in refusal(capsys, *train, "--train-manifest", tmp_path / "moved.csv")
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    assert "taken" in refusal(capsys, *train, "--output-dir", tmp_path / "taken")
    (tmp_path / "file").touch()
    assert "file" in refusal(capsys, *train, "--output-dir", tmp_path / "file" / "run")
    assert not (tmp_path / "run").exists()


def test_a_disk_too_full_to_begin_is_a_failure_as_one_that_fills_up_is(
    train: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    assert main([str(argument) for argument in train]) == ExitStatus.FAILURE
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert captured.err.startswith(f"error: --output-dir {tmp_path / 'run'}: needs ") and "free disk" in captured.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("--name x: is wrong"), 2, "error: --name x: is wrong\n"),
        (DownloadError("a\nb"), 1, "error: a\\nb\n"),
        (DivergedError("not finite"), 1, "error: not finite\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "some/file"),
            1,
            "error: some/file: No space left on device\n",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "error: writing: No space left on device\n"),
    ],
)
def test_an_error_ends_a_command_with_its_status_and_one_line(
    error: Exception, status: int, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_: object) -> int:
        raise error

    monkeypatch.setattr(logs, "_check_log", fail)
    assert main(["check-log", "file"]) == status
    assert capsys.readouterr() == ("", line)


def test_a_dataset_without_a_split_is_refused(
    train: list[object], tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    shutil.copytree(tone_dataset, tmp_path / "part")
    (tmp_path / "part" / "manifests" / "val.csv").unlink()
    assert "val.csv" in refusal(capsys, *train, "--data-dir", tmp_path / "part")
