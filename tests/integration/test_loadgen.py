"""Tests of `benchmark` with LoadGen itself, on a tiny model and a tiny dataset."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from speech_recognition.cli import main
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.evaluation import evaluate
from speech_recognition.inference import loadgen_plan
from speech_recognition.inference.loadgen_plan import Plan
from speech_recognition.inference.loading import load
from speech_recognition.runtime import separate

CPU = torch.device("cpu")
RESULTS = Path("open/reference_implementation/results/reference_platform/deepspeech2")


@pytest.fixture
def model(save_model: Callable[..., Path]) -> Path:
    return save_model("tiny.pt", "data.eval_batch_size=4")


def run(model: Path, manifest: Path, output: Path, scenario: str, *options: str) -> int:
    given = ["benchmark", str(model), str(manifest), "--scenario", scenario, "--output-dir", str(output)]
    return main([*given, "--threads", "1", *options])


@pytest.mark.parametrize("scenario", ["MultiStream", "Offline", "Server"])
def test_the_wer_is_that_of_evaluate_to_the_digit(
    model: Path, tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], scenario: str
) -> None:
    manifest = tone_dataset / "manifests" / "train.csv"
    assert run(model, manifest, tmp_path, scenario, "--mode", "accuracy") == 0
    result = evaluate(load(model, CPU), read_manifest(manifest))
    assert len(set(result.hypotheses)) > 1
    logs = tmp_path / RESULTS / scenario / "accuracy"
    assert (logs / "accuracy.txt").read_text().startswith(f"Word Error Rate: {result.total.wer}%, accuracy=")
    lines = [f"{name}: {score}" for name, score in result.by_subset().items()]
    assert capsys.readouterr().out.splitlines() == [*lines, f"all: {result.total}", f"logs: {logs}"]


def test_a_valid_run_leaves_the_folder_that_mlperf_asks_for(
    model: Path, tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "facts.json").write_text('{"submitter": "us", "system_name": "ours", "cooling": "air"}')
    facts = ["--system", str(tmp_path / "facts.json")]
    output = tmp_path / "output"
    assert run(model, tone_dataset / "manifests" / "val.csv", output, "SingleStream", *facts) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "SingleStream, unofficial short run: VALID"
    assert re.fullmatch(r"90% of the utterances within [\d.]+ ms", printed[1])
    assert "Result is : VALID" in (output / "mlperf_log_summary.txt").read_text()

    submission = output / "open" / "us"
    scenario = submission / "results" / "ours" / "deepspeech2" / "SingleStream"
    names = {"mlperf_log_summary.txt", "mlperf_log_detail.txt"}
    assert names <= {each.name for each in (scenario / "performance" / "run_1").iterdir()}
    assert "deepspeech2.SingleStream.min_duration = 1000" in (scenario / "user.conf").read_text()
    assert "unofficial short run" in (scenario / "README.md").read_text()
    measurements = json.loads((scenario / "measurements.json").read_text())
    assert measurements["starting_weights_filename"] == "tiny.pt" and measurements["weight_data_types"] == "fp32"
    assert all(measurements.values())
    system = json.loads((submission / "systems" / "ours.json").read_text())
    assert (system["division"], system["submitter"], system["cooling"]) == ("open", "us", "air")
    assert json.loads((submission / "model_mapping.json").read_text()) == {"deepspeech2": "whisper"}
    # MLPerf's own seeds: LoadGen has read its mlperf.conf, which it does once in a process.
    assert '"effective_qsl_rng_seed", "value": 2085463073848966840' in next(scenario.rglob("*detail.txt")).read_text()


def test_the_exit_status_is_loadgens_verdict(model: Path, tone_dataset: Path, tmp_path: Path) -> None:
    # The verdict itself depends on what else the machine does.
    status = run(model, tone_dataset / "manifests" / "val.csv", tmp_path, "Server", "--target-qps", "300")
    verdict = re.search(r"Result is : (\w+)", (tmp_path / "mlperf_log_summary.txt").read_text())
    assert verdict is not None and status == {"VALID": 0, "INVALID": 1}[verdict[1]]


def with_few_queries(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call `function` where SingleStream has 20 queries: too few for LoadGen's estimate of a percentile."""
    loadgen_plan._QUERIES["SingleStream"], loadgen_plan._SHORT_SECONDS = 20, 0
    return function(*arguments)


def test_a_run_that_is_not_valid_says_why_and_keeps_its_logs(
    model: Path,
    tone_dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(separate, "call", partial(separate.call, with_few_queries))
    assert run(model, tone_dataset / "manifests" / "val.csv", tmp_path, "SingleStream") == 1
    why = "Only processed 20 queries. Need to process at least 64 queries for early stopping."
    assert capsys.readouterr().out.startswith(f"SingleStream, unofficial short run: INVALID: {why}\n90% of ")
    assert (tmp_path / RESULTS / "SingleStream" / "performance" / "run_1" / "mlperf_log_detail.txt").exists()


def test_unreadable_audio_ends_the_run_in_one_line(
    model: Path, tone_dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    plan = Plan(scenario="Server", mode="accuracy", official=False, utterances=len(utterances), batch_size=4)
    timed = {index for batch in plan.timed_batches() for index in batch}
    later = next(index for index in range(len(utterances)) if index not in timed)  # LoadGen's thread reads this one
    rows = (tone_dataset / "manifests" / "train.csv").read_text().replace("train/", f"{tone_dataset}/train/")
    broken = tmp_path / "broken.wav"
    broken.write_bytes(utterances[later].audio.read_bytes()[:100])
    manifest = tmp_path / "train.csv"
    manifest.write_text(rows.replace(str(utterances[later].audio), str(broken)))
    assert run(model, manifest, tmp_path / "output", "Server", "--mode", "accuracy") == 2
    error = capfd.readouterr().err
    assert error.startswith("error: ") and "broken.wav" in error and error.count("\n") == 1
    assert not list((tmp_path / "output").rglob("mlperf_log*"))
