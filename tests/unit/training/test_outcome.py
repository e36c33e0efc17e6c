"""The line with which a run ends on a terminal."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import params
from speech_recognition.runs.folder import RunFolder
from speech_recognition.runs.metrics import EpochMetrics, write_metrics
from speech_recognition.training.outcome import outcome

EVENT = ':::MLLOG {{"time_ms": {}, "event_type": "", "key": "{}", "value": null, "metadata": {{}}}}\n'


@pytest.mark.parametrize(
    ("wers", "expected"),
    [
        ((100.0, 53.2, 17.1), "target reached: WER 17.10 <= 23 after 2 epochs, 2 min 41 s"),
        ((100.0, 31.25, 40.0), "target missed: best WER 31.25 > 23 after 2 epochs, 2 min 41 s"),
        ((96.0, 100.0), "target missed: best WER 100.00 > 23 after 1 epoch, 2 min 41 s"),  # 96: before any training
    ],
)
def test_it_says_whether_the_target_was_reached_and_where_the_report_is(
    wers: tuple[float, ...], expected: str, tmp_path: Path
) -> None:
    log = tmp_path / "speech_ds2.out"
    log.write_text(EVENT.format(1_000, "run_start") + EVENT.format(162_400, "run_stop"))
    rows = [
        EpochMetrics(epoch=epoch, wer=wer, cer=1.0, utterance_wer=wer, eval_seconds=1.0)
        for epoch, wer in enumerate(wers)
    ]
    write_metrics(RunFolder(tmp_path).metrics, rows)
    job: Any = SimpleNamespace(output_dir=tmp_path, params=params.mini())
    assert outcome(job) == f"{expected}; report: {tmp_path / 'report.html'}"
