"""Results of LoadGen's runs: whether a run is valid, its figure, and the transcripts with their WER."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.evaluation import Evaluation
from speech_recognition.inference.loadgen_plan import SERVER_MILLISECONDS, STREAMS, Plan

SUMMARY, DETAIL, ACCURACY = "mlperf_log_summary.txt", "mlperf_log_detail.txt", "mlperf_log_accuracy.json"
"""Names of LoadGen's logs."""


@dataclass(frozen=True)
class Verdict:
    """Result of a performance run."""

    valid: bool
    """Whether LoadGen found the run valid, and had no error."""
    figure: str
    """The scenario's figure, for people."""
    reasons: str
    """Why the run is not valid; empty if it is."""


def read_verdict(logs: Path, plan: Plan) -> Verdict:
    """Return the result of the performance run whose logs lie in `logs`."""
    values: dict[str, Any] = {}
    reasons: list[str] = []
    for line in (logs / DETAIL).read_text(encoding="utf-8").splitlines():
        entry = json.loads(line.removeprefix(":::MLLOG "))
        values[entry["key"]] = entry["value"]
        if entry["metadata"]["is_error"]:
            reasons.append(str(entry["value"]))
    if values.get("result_validity") != "VALID":
        early = "" if values.get("early_stopping_met") else values.get("early_stopping_result", "")
        reasons += [values.get("result_invalid_reason", ""), early]
    told = " ".join(" ".join(reasons).replace("*", "").split())
    return Verdict(values.get("result_validity") == "VALID" and not told, _figure(plan, values), told)


def _figure(plan: Plan, values: Mapping[str, Any]) -> str:
    """Return the figure by which MLPerf compares results of the scenario, from the log's values by key."""
    if plan.scenario == "SingleStream":  # LoadGen's estimate, which too short a run does not have
        latency = values.get("early_stopping_latency_ss") or values["result_90.00_percentile_latency_ns"]
        return f"90% of the utterances within {latency / 1e6:.1f} ms"
    if plan.scenario == "MultiStream":
        latency = values.get("early_stopping_latency_ms") or values["result_99.00_percentile_per_query_latency_ns"]
        return f"99% of the queries of {STREAMS} utterances within {latency / 1e6:.1f} ms"
    if plan.scenario == "Offline":
        return f"{values['result_samples_per_second']:.1f} utterances per second"
    rate, latency = values["result_completed_samples_per_sec"], values["result_99.00_percentile_latency_ns"]
    return f"{rate:.1f} utterances per second, 99% within {latency / 1e6:.1f} ms of {SERVER_MILLISECONDS} ms allowed"


def read_accuracy(logs: Path, utterances: Sequence[Utterance]) -> Evaluation:
    """Return transcripts and scores of the accuracy run whose logs lie in `logs`."""
    entries = json.loads((logs / ACCURACY).read_text(encoding="utf-8"))
    # MultiStream asks for some utterances twice, to fill its last query.
    texts = {entry["qsl_idx"]: bytes.fromhex(entry["data"]).decode("ascii") for entry in entries}
    return Evaluation.of(utterances, [texts[index] for index in range(len(utterances))])


def write_accuracy(logs: Path, evaluation: Evaluation) -> None:
    """Write accuracy.txt beside the logs: the line and the hash that the checker of MLPerf inference looks for.

    The hash is that of the whole log of answers, which MLPerf's truncate_accuracy_log.py shortens for a submission.
    """
    wer = evaluation.total.wer
    digest = hashlib.sha256((logs / ACCURACY).read_bytes()).hexdigest()
    text = f"Word Error Rate: {wer}%, accuracy={100 - wer}%\n{evaluation.total}\nhash={digest}\n"
    (logs / "accuracy.txt").write_text(text, encoding="utf-8")
