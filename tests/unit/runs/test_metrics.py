"""The table of a run's epochs."""

import csv
from pathlib import Path

from speech_recognition.runs.metrics import EpochMetrics, write_metrics


def test_rows_of_different_subsets_share_a_table(tmp_path: Path) -> None:
    rows = [
        EpochMetrics(epoch=1, wer=5.0, cer=1.0, utterance_wer=5.0, eval_seconds=1.0, subset_wer={name: 5.0})
        for name in ("dev-clean", "d\xe9v")
    ]
    write_metrics(tmp_path / "metrics.csv", rows)
    with (tmp_path / "metrics.csv").open(encoding="utf-8", newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["wer_dev-clean"], first["wer_d\xe9v"]) == ("5.0", "")
    assert (second["wer_dev-clean"], second["wer_d\xe9v"]) == ("", "5.0")
