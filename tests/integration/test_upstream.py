"""Tests of docs/upstream/: the commands of a patched mlperf-logging accept good submissions and refuse bad ones."""

import json
import math
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import params
from script.make_upstream_patch import FOLDER, OFFICIAL, patches
from speech_recognition.commands import ROOT
from speech_recognition.mlperf.convergence import reference_points
from speech_recognition.mlperf.package import make_package
from speech_recognition.mlperf.score import find_scores
from speech_recognition.runs.series_folder import SeriesFolder
from tests.unit.mlperf.conftest import LogLines, build_log
from tests.unit.mlperf.runs import MINI, complete_description, timed_log, write_log, write_params

Run = Callable[..., subprocess.CompletedProcess[str]]
Figures = Callable[[Path], dict[str, Any]]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a function that runs a command of a copy of mlperf-logging with the patches."""
    folder = tmp_path_factory.mktemp("official")
    shutil.copytree(OFFICIAL, folder / "mlperf_logging", ignore=shutil.ignore_patterns("__pycache__"))
    for name in patches():
        subprocess.run(["git", "apply", str(FOLDER / name)], cwd=folder, check=True)

    def run(command: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", f"mlperf_logging.{command}", *map(str, words)],
            cwd=folder,  # where the commands write what they say
            env=os.environ | {"PYTHONPATH": str(folder)},
            capture_output=True,
            text=True,
        )

    return run


def series(epochs: Sequence[int]) -> list[LogLines]:
    """Return the logs of runs that took these numbers of epochs, and 1, 2, 3 … minutes."""
    return [timed_log(100 + number, 1.0 + number, each) for number, each in enumerate(epochs)]


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a submission of ten runs of `mini` that converge like the slower half of the reference's."""
    points = reference_points(MINI)
    assert points
    entries = json.loads(points.read_text()).values()
    (epochs,) = [each["Epochs to converge"] for each in entries if each["BS"] == params.mini().data.batch_size]
    folder = tmp_path_factory.mktemp("submission")
    runs = SeriesFolder(folder / "runs")
    for number, lines in enumerate(series(sorted(epochs)[-10:])):
        write_log(runs.result(number), lines)
        write_params(runs, number, params.mini())
    runs.run(0).system.write_text(json.dumps(complete_description(folder)))
    return make_package(runs.path, folder / "out", ROOT, None).folder


@pytest.fixture
def changed(submission: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that copies the submission and changes result files by their numbers; None removes one."""

    def copy(logs: dict[int, LogLines | None]) -> Path:
        folder = tmp_path / submission.name
        shutil.copytree(submission, folder, ignore=shutil.ignore_patterns("benchmarks"))
        for number, lines in logs.items():
            path = SeriesFolder(results_of(folder)).result(number)
            path.unlink() if lines is None else write_log(path, lines)
        return folder

    return copy


def results_of(submission: Path) -> Path:
    (folder,) = submission.glob(f"results/*/{MINI}")
    return folder


@pytest.fixture
def figures(stock: Run, tmp_path: Path) -> Figures:
    """Return a function that returns result_summarizer's figures of the runs of `mini` in a submission."""

    def summarised(submission: Path) -> dict[str, Any]:
        done = stock("result_summarizer", submission, "training", "6.1.0", "--csv", tmp_path / "summary.csv")
        assert done.returncode == 0, done.stderr
        (row,) = pd.read_csv(tmp_path / "summary_detailed.csv").to_dict("records")
        return {name.removeprefix(f"{MINI}:"): value for name, value in row.items() if name.startswith(f"{MINI}:")}

    return summarised


def test_the_patches_are_made_from_the_rules_and_points_of_today() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.patch")}
    stale = [name for name, text in patches().items() if written.pop(name, None) != text]
    assert stale == [], "run script/make_upstream_patch.py"
    assert written == {}


@pytest.mark.parametrize(
    ("lines", "outcome"),
    [
        (build_log(), (0, "INFO - SUCCESS")),
        (build_log("reference"), (0, "INFO - SUCCESS")),
        (build_log("tensorflow", division="open"), (0, "INFO - SUCCESS")),
        (build_log().edited("submission_benchmark", value="deepspeech2"), (1, "ERROR - FAILED")),
        (build_log().edited("seed", value=-1), (1, "ERROR - FAILED")),
    ],
    ids=["mini", "deepspeech2", "open", "relabelled", "damaged"],
)
def test_the_compliance_checker_without_config(
    lines: LogLines, outcome: tuple[int, str], stock: Run, tmp_path: Path
) -> None:
    write_log(tmp_path / "result_0.txt", lines)
    done = stock("compliance_checker", "--ruleset", "6.1.0", "--werror", tmp_path / "result_0.txt")
    assert (done.returncode, done.stderr.splitlines()[-1]) == outcome


def test_every_command_accepts_a_good_submission(submission: Path, stock: Run, figures: Figures) -> None:
    done = stock("package_checker", submission, "training", "6.1.0", "--werror")
    assert "PACKAGE CHECKER FOUND NO ERRORS, SUCCESS !" in done.stderr and "RCP Test Passed" in done.stderr
    done = stock("rcp_checker", results_of(submission), "--rcp_version", "6.1.0")
    assert (done.returncode, "RCP test PASSED" in done.stderr) == (0, True), done.stderr

    found, (ours,) = figures(submission), find_scores(results_of(submission))
    assert found["RCP"] == "Pass" and found["GBS"] == params.mini().data.batch_size
    assert found["time_to_train"] == pytest.approx(statistics.mean(range(2, 10)), rel=1e-4)
    assert found["time_to_train"] == pytest.approx(ours.minutes)
    assert found["samples_to_converge"] == pytest.approx(statistics.mean(sorted(run.epochs for run in ours.runs)[1:-1]))


def test_compute_score_prints_the_score(submission: Path, stock: Run) -> None:
    words = ("--usage", "training", "--ruleset", "6.1.0", "--benchmark_folder", results_of(submission))
    done = stock("result_summarizer.compute_score", *words)
    assert done.returncode == 0, done.stderr
    label, _, minutes = done.stdout.splitlines()[-1].rpartition(": ")
    assert label == "Final score - Time to Train (minutes)"
    assert float(minutes) == pytest.approx(statistics.mean(range(2, 10)), rel=1e-4)


def test_a_missing_run_is_refused(changed: Callable[..., Path], stock: Run) -> None:
    done = stock("package_checker", changed({9: None}), "training", "6.1.0")
    assert "found 9, expected 10" in done.stderr and "SUCCESS" not in done.stderr


def test_relabelled_runs_are_refused(changed: Callable[..., Path], stock: Run, figures: Figures) -> None:
    large = {number: build_log().edited("submission_benchmark", value="deepspeech2") for number in (3, 7)}
    folder = changed(large)
    done = stock("package_checker", folder, "training", "6.1.0")
    assert "2 files do not comply, directory cannot be accepted" in done.stderr and "SUCCESS" not in done.stderr
    assert stock("rcp_checker", results_of(folder), "--rcp_version", "6.1.0").returncode != 0
    assert math.isnan(figures(folder)["time_to_train"])


def test_runs_that_converge_too_fast_are_refused(changed: Callable[..., Path], stock: Run, figures: Figures) -> None:
    folder = changed(dict(enumerate(series([1] * 10))))
    done = stock("package_checker", folder, "training", "6.1.0")
    assert "RCP Test Failed" in done.stderr and "SUCCESS" not in done.stderr
    done = stock("rcp_checker", results_of(folder), "--rcp_version", "6.1.0")
    assert (done.returncode, "RCP test FAILED" in done.stderr) == (1, True)
    # The word depends on whether the points at this batch size are used, or interpolated from those beside it.
    assert figures(folder)["RCP"] in ("Fail", "Interp. Fail", "Missing")
