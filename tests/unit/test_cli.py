"""The commands as a user types them: processes, exit statuses, one line of error."""

import csv
import dataclasses
import errno
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from speech_recognition.cli import check, main, mend_streams
from speech_recognition.commands import ROOT, logs
from speech_recognition.corpus.manifest import read_manifest, write_manifest
from speech_recognition.errors import DivergedError, DownloadError, ExitStatus, InputError

TINY = ["--set", "model.conv_channels=2", "--set", "model.rnn_units=8", "--set", "submission.division=open"]


def call(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command, environment = [sys.executable, "-m", "speech_recognition"], os.environ | {"PYTHONPATH": str(ROOT)}
    command += map(str, arguments)
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


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
    options += ["--set", "submission.platform=two cores"]
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
    others = {"command.txt", "speech_ds2.out", "checkpoints", "charts"}
    assert {path.name for path in folder.iterdir()} == files | others
    words = shlex.split((folder / "command.txt").read_text())
    assert words[:4] == ["python", "-m", "speech_recognition", "train"]
    assert words[-2:] == ["--set", "submission.platform=two cores"]
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert "target missed" in (folder / "report.html").read_text()
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
        "results",
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
        (
            PermissionError(errno.EACCES, "Permission denied", "closed/file"),
            2,
            "error: closed/file: Permission denied; name a different path, or make this one usable\n",
        ),
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


def test_a_closed_standard_input_is_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    mend_streams()
    assert sys.stdin.read() == "" and sys.stdin.buffer.read() == b"" and not sys.stdin.isatty()


def test_the_words_of_a_command_can_be_checked_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert check(["train", "--preset", "mini"]) == 0 and capsys.readouterr() == ("", "")
    for words, fault in (("words", "unrecognized arguments: words"), ("--set=x=1", "x"), ("--preset=no", "'no'")):
        assert check(["train", "--preset", "mini", words]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and fault in error and error.count("\n") == 1


def test_a_dataset_without_a_split_is_refused(
    train: list[object], tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tone_dataset, tmp_path / "part")
    (tmp_path / "part" / "manifests" / "val.csv").unlink()
    assert "val.csv" in refusal(capsys, *train, "--data-dir", tmp_path / "part")
