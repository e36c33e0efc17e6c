"""Several runs, each in a process of its own."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT, several
from speech_recognition.commands.several import run_several
from speech_recognition.mlperf.series import exit_status
from speech_recognition.runs.series_folder import SeriesFolder

TINY = ["model.conv_channels=2", "model.rnn_units=8", "data.workers=0", "training.epochs=1", "submission.division=open"]


def test_a_failed_run_does_not_end_the_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = (
        "import json, sys; seed = sys.argv[-3]\n"
        "for key, time in (('run_start', 0), ('run_stop', 10_500 * int(seed))):\n"
        "    event = {'time_ms': time, 'event_type': '', 'key': key, 'value': None, 'metadata': {}}\n"
        "    print(':::MLLOG ' + json.dumps(event))\n"
        "sys.exit({'2': 1, '4': 3}.get(seed, 0))"
    )
    monkeypatch.setattr(several, "_PROGRAM", (sys.executable, "-c", script))
    found = run_several(["train", "--seed", "9"], [1, 2, 3, 4], SeriesFolder(tmp_path / "series"))
    assert [(each.seed, each.status, each.seconds) for each in found] == [
        (1, 0, 10.5),
        (2, 1, 21),
        (3, 0, 31.5),
        (4, 3, 42),
    ]
    assert sorted(path.name for path in (tmp_path / "series").iterdir()) == [
        *(f"result_{number}.txt" for number in range(4)),
        "summary.json",
    ]
    content = json.loads((tmp_path / "series" / "summary.json").read_text())
    assert content["runs"][1]["wer"] is None and content["score_seconds"]["mean"] == 21


def test_bad_input_ends_the_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(several, "_PROGRAM", (sys.executable, "-c", "import sys; sys.exit(2)"))
    found = run_several(["train"], [1, 2, 3], SeriesFolder(tmp_path / "series"))
    assert len(found) == 1 and exit_status(found) == 2


def command(dataset: Path, folder: Path, *more: object) -> list[str]:
    sets = [word for assignment in TINY for word in ("--set", assignment)]
    options = ["--preset", "mini", "--data-dir", dataset, "--output-dir", folder, "--timed", *sets, *more]
    return [sys.executable, "-m", "speech_recognition", "train", *map(str, options)]


def test_runs_of_the_command_have_seeds_and_logs_of_their_own(tone_dataset: Path, tmp_path: Path) -> None:
    folder, environment = tmp_path / "series", os.environ | {"PYTHONPATH": str(ROOT)}
    options = command(tone_dataset, folder, "--runs", 3, "--set", "training.target_wer=0")
    result = subprocess.run(options, env=environment, capture_output=True, text=True, timeout=120, check=False)
    content = json.loads((folder / "summary.json").read_text())
    assert len({run["seed"] for run in content["runs"]}) == 3
    for number, run in enumerate(content["runs"]):
        log = (folder / f"result_{number}.txt").read_text()
        assert log == (folder / f"run_{number}" / "speech_ds2.out").read_text()
        assert f'"key": "seed", "value": {run["seed"]}' in log and log.startswith("STARTING TIMING RUN AT")
        assert run["epochs"] == 1 and not math.isnan(run["seconds"])
    assert result.stdout.splitlines()[0] == "| run | seed | epochs | seconds | WER | status |"
    assert {run["status"] for run in content["runs"]} == {result.returncode} == {3}, result.stderr


def test_a_signal_ends_the_run_at_hand_and_the_series(tone_dataset: Path, tmp_path: Path) -> None:
    folder, environment = tmp_path / "series", os.environ | {"PYTHONPATH": str(ROOT)}
    options = command(
        tone_dataset, folder, "--runs", 3, "--set", "training.target_wer=0", "--set", "training.epochs=9999"
    )
    with subprocess.Popen(
        options, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as series:
        log = folder / "result_0.txt"
        while not (log.exists() and "epoch_start" in log.read_text()):
            assert series.poll() is None
            time.sleep(0.02)
        series.send_signal(signal.SIGTERM)
        _, errors = series.communicate(timeout=60)
    assert series.returncode == 128 + signal.SIGTERM and "Traceback" not in errors
    assert '"aborted"' in log.read_text() and not (folder / "result_1.txt").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--runs", "3", "--seed", "1"], "--seed 1"),
        (["--runs", "3", "--resume"], "--resume"),
        (["--runs", "0"], "--runs"),
        (["--runs", "3"], "--timed"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from speech_recognition.cli import main

    more = [] if message == "--timed" else ["--timed"]
    assert main(["train", "--preset", "mini", *more, *options]) == 2
    assert message in capsys.readouterr().err


def test_a_series_under_torchrun_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from speech_recognition.cli import main

    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "job 7")
    assert main(["train", "--preset", "mini", "--timed", "--runs", "2"]) == 2
    assert "use --num-gpus instead of torchrun" in capsys.readouterr().err
