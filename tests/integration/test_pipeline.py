"""Tests of run_deep_speech.sh with a stand-in for Python that records what it is asked to do."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT

STAND_IN = """\
#!/bin/sh
if [ "$1" = -c ]; then # the check of the options of train
    exit "${CHECK:-0}"
fi
shift 2
printf '%s\\n' "$*" >>"$RECORD"
if [ "$1" = "${WAIT:-none}" ]; then
    trap 'echo stopped >>"$RECORD"; exit 143' TERM
    echo waiting >>"$RECORD"
    while :; do sleep 0.05; done
fi
[ "$1" != "${FAIL:-none}" ] || exit "$STATUS"
"""


class Copy:
    """Copy of the script in a folder with a space, and the record of the commands that it runs."""

    def __init__(self, folder: Path) -> None:
        self.repo = folder / "a repository"
        (self.repo / "script").mkdir(parents=True)
        for name in ("run_deep_speech.sh", "script/environment.sh"):
            shutil.copyfile(ROOT / name, self.repo / name)
        self.record = folder / "record"
        python = folder / "python"
        python.write_text(STAND_IN)
        python.chmod(0o755)
        self.environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(python), "RECORD": str(self.record)}

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["sh", str(self.repo / "run_deep_speech.sh"), *arguments],
            cwd=self.repo.parent,
            env=self.environment | variables,
            start_new_session=True,
        )

    def run(self, *arguments: str, **variables: str) -> tuple[int, list[str]]:
        """Return the exit status, and the commands with the repository's path written as REPO."""
        status = self.start(*arguments, **variables).wait(60)
        return status, self.record.read_text().replace(str(self.repo), "REPO").splitlines()


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


def test_without_options_all_of_librispeech_is_downloaded_trained_on_and_evaluated(copy: Copy) -> None:
    data, run = "REPO/LibriSpeech_dataset", "REPO/results/deep_speech"
    assert copy.run() == (
        0,
        [
            f"download all --data-dir {data}",
            f"train --preset tensorflow --model_dir {run} --resume --data-dir {data}",
            f"evaluate {run}/checkpoints/best.pt {data}/manifests/val.csv {data}/manifests/test.csv",
        ],
    )


def test_the_gardens_options_reach_every_step(copy: Copy) -> None:
    options = ["--data_dir", "my data", "--model_dir=my run", "--num_gpus", "8", "--eval_data_dir", "dev.csv"]
    _, commands = copy.run("mini", *options)
    assert commands[0] == "download mini --data-dir my data"
    assert commands[1].endswith(f"--resume --data-dir my data {' '.join(options)}")
    assert commands[2] == "evaluate my run/checkpoints/best.pt dev.csv my data/manifests/test.csv"


def test_options_that_train_would_refuse_end_the_pipeline_before_the_download(copy: Copy) -> None:
    assert copy.start("clean", "--preset", "nope", CHECK="2").wait(60) == 2
    assert copy.start("").wait(60) == 2
    assert not copy.record.exists()


@pytest.mark.parametrize("words", [["--help"], ["clean", "-h"]])
def test_the_help_is_the_usage_and_downloads_nothing(copy: Copy, words: list[str]) -> None:
    script = ["sh", str(copy.repo / "run_deep_speech.sh"), *words]
    shown = subprocess.run(script, env=copy.environment, capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("usage: sh run_deep_speech.sh [all|clean|") and "--model_dir DIR" in shown.stdout
    assert shown.stderr == "" and not copy.record.exists()


def test_small_has_a_folder_of_its_own_and_no_test_set(copy: Copy) -> None:
    _, commands = copy.run("small", "--preset", "small")
    assert commands[0] == "download small --data-dir REPO/small_dataset"
    assert commands[2].endswith("/best.pt REPO/small_dataset/manifests/val.csv")


def test_with_two_manifests_nothing_is_downloaded(copy: Copy) -> None:
    manifests = ["--train_data_dir", "train.csv", "--eval_data_dir=dev.csv"]
    status, commands = copy.run(*manifests)
    assert status == 0 and [line.split()[0] for line in commands] == ["train", "evaluate"]
    assert commands[1] == "evaluate REPO/results/deep_speech/checkpoints/best.pt dev.csv"
    assert copy.run(*manifests[:2])[1][2].startswith("download all")


@pytest.mark.parametrize(
    ("failing", "status", "last"),
    [("download", 1, "download"), ("train", 1, "train"), ("train", 2, "train"), ("evaluate", 2, "evaluate")],
)
def test_a_failure_ends_the_pipeline_with_its_status(copy: Copy, failing: str, status: int, last: str) -> None:
    ended, commands = copy.run("mini", FAIL=failing, STATUS=str(status))
    assert ended == status and commands[-1].startswith(last)


def test_a_missed_target_is_evaluated_and_is_the_exit_status(copy: Copy) -> None:
    status, commands = copy.run("mini", FAIL="train", STATUS="3")
    assert status == 3 and commands[-1].startswith("evaluate")


def test_a_signal_to_the_script_alone_stops_the_command_that_runs(copy: Copy) -> None:
    process = copy.start("mini", WAIT="train")
    deadline = time.monotonic() + 60
    while not (copy.record.exists() and "waiting" in copy.record.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(60) == 143
    assert copy.record.read_text().splitlines()[-1] == "stopped"
