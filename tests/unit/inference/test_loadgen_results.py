"""Tests of the reading of LoadGen's logs, and of the files that MLPerf's checker looks for."""

import dataclasses
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.corpus.manifest import Utterance, read_manifest
from speech_recognition.inference.loadgen_plan import Plan
from speech_recognition.inference.loadgen_results import ACCURACY, DETAIL, read_accuracy, read_verdict, write_accuracy

SERVER = Plan(scenario="Server", mode="performance", official=False, utterances=10, batch_size=4)
FIGURES = {
    "result_completed_samples_per_sec": 32.123,
    "result_99.00_percentile_latency_ns": 51_234_567,
    "result_90.00_percentile_latency_ns": 41_234_567,
    "result_99.00_percentile_per_query_latency_ns": 91_234_567,
    "result_samples_per_second": 64.25,
}
VALID = FIGURES | {
    "result_validity": "VALID",
    "early_stopping_met": True,
    "early_stopping_result": " * Run successful.",
}


def write_detail(folder: Path, values: dict[str, Any], *errors: str) -> None:
    lines = [(key, value, False) for key, value in values.items()] + [("error_runtime", each, True) for each in errors]
    text = [f":::MLLOG {json.dumps({'key': k, 'value': v, 'metadata': {'is_error': e}})}" for k, v, e in lines]
    (folder / DETAIL).write_text("\n".join(text) + "\n")


@pytest.mark.parametrize(
    ("scenario", "more", "figure"),
    [
        ("SingleStream", {"early_stopping_latency_ss": 12_345_678}, "90% of the utterances within 12.3 ms"),
        ("SingleStream", {"early_stopping_latency_ss": 0}, "90% of the utterances within 41.2 ms"),
        ("MultiStream", {"early_stopping_latency_ms": 22_345_678}, "99% of the queries of 8 utterances within 22.3 ms"),
        ("MultiStream", {}, "99% of the queries of 8 utterances within 91.2 ms"),
        ("Offline", {}, "64.2 utterances per second"),
        ("Server", {}, "32.1 utterances per second, 99% within 51.2 ms of 1000 ms allowed"),
    ],
)
def test_a_valid_run_has_its_scenarios_figure(tmp_path: Path, scenario: Any, more: dict[str, int], figure: str) -> None:
    write_detail(tmp_path, VALID | more)
    verdict = read_verdict(tmp_path, dataclasses.replace(SERVER, scenario=scenario))
    assert (verdict.valid, verdict.figure, verdict.reasons) == (True, figure, "")


def test_a_run_that_is_not_valid_says_why_in_one_line(tmp_path: Path) -> None:
    late = {
        "result_validity": "INVALID",
        "result_invalid_reason": "Reduce target QPS to improve latency. ",
        "early_stopping_met": False,
        "early_stopping_result": " * Run unsuccessful.\n * Processed 600 queries.",
    }
    write_detail(tmp_path, FIGURES | late)
    verdict = read_verdict(tmp_path, SERVER)
    assert not verdict.valid
    assert verdict.reasons == "Reduce target QPS to improve latency. Run unsuccessful. Processed 600 queries."


def test_an_error_of_loadgen_makes_a_run_not_valid(tmp_path: Path) -> None:
    write_detail(tmp_path, VALID, "Multiple conf files are used.")
    verdict = read_verdict(tmp_path, SERVER)
    assert (verdict.valid, verdict.reasons) == (False, "Multiple conf files are used.")


@pytest.fixture
def utterances(tone_dataset: Path) -> list[Utterance]:
    return read_manifest(tone_dataset / "manifests" / "val.csv")


def write_answers(folder: Path, answers: list[tuple[int, str]]) -> None:
    entries = [{"seq_id": i, "qsl_idx": n, "data": text.encode().hex()} for i, (n, text) in enumerate(answers)]
    (folder / ACCURACY).write_text(json.dumps(entries))


def test_answers_are_scored_whatever_their_order_and_repeats(tmp_path: Path, utterances: list[Utterance]) -> None:
    texts = [each.transcript for each in utterances]
    texts[0], texts[2] = "", f"X {texts[2]}"
    answers = list(enumerate(texts))
    write_answers(tmp_path, [*reversed(answers), answers[3]])
    result = read_accuracy(tmp_path, utterances)
    assert result.hypotheses == texts
    assert result.total.utterances == len(utterances)
    assert result.total.word_errors == len(utterances[0].transcript.split()) + 1


def test_the_accuracy_file_has_the_line_and_the_hash_that_mlperf_looks_for(
    tmp_path: Path, utterances: list[Utterance]
) -> None:
    write_answers(tmp_path, [(index, "BAD" if index else each.transcript) for index, each in enumerate(utterances)])
    result = read_accuracy(tmp_path, utterances)
    write_accuracy(tmp_path, result)
    first, _, last = (tmp_path / "accuracy.txt").read_text().splitlines()
    # The checker's patterns, and its way to use them.
    found = re.match(r"Word Error Rate\:.*, accuracy=([0-9\.]+)%", first)
    assert found is not None and float(found[1]) == 100 - result.total.wer
    assert first.startswith(f"Word Error Rate: {result.total.wer}%")
    hashed = re.match(r"^hash=([\w\d]+)$", last)
    assert hashed is not None and hashed[1] == hashlib.sha256((tmp_path / ACCURACY).read_bytes()).hexdigest()
