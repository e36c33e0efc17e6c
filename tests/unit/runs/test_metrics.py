"""The table of a run's epochs, and the lines that a person reads about an epoch."""

import csv
import math
from pathlib import Path

import pytest

from speech_recognition.errors import InputError
from speech_recognition.runs.metrics import TABLE_HEAD, EpochMetrics, best_of, read_metrics, write_metrics

UNTRAINED = EpochMetrics(epoch=0, wer=100.0, cer=100.0, utterance_wer=100.0, eval_seconds=3.0)
TRAINED = EpochMetrics(
    epoch=10,
    wer=17.1,
    cer=9.87,
    utterance_wer=17.5,
    subset_wer={"dev-clean": 12.0, "dev-other": 25.5},
    loss=12.345,
    skipped_steps=2,
    learning_rate=1e-3,
    seconds=40.2,
    waiting_seconds=4.02,
    saving_seconds=0.5,
    audio_rate=191.4,
    eval_seconds=2.9,
)


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


def test_every_figure_comes_back_and_figures_that_an_epoch_lacks_are_nan(tmp_path: Path) -> None:
    write_metrics(tmp_path / "metrics.csv", [UNTRAINED, TRAINED])
    untrained, trained = read_metrics(tmp_path / "metrics.csv")
    assert trained == TRAINED.row()
    assert {name: value for name, value in untrained.items() if not math.isnan(value)} == {
        "epoch": 0,
        "wer": 100.0,
        "cer": 100.0,
        "utterance_wer": 100.0,
        "eval_seconds": 3.0,
    }


def test_a_loss_that_is_not_finite_comes_back(tmp_path: Path) -> None:
    row = EpochMetrics(epoch=1, wer=100.0, cer=100.0, utterance_wer=100.0, loss=math.nan, eval_seconds=1.0)
    write_metrics(tmp_path / "metrics.csv", [row])
    assert math.isnan(read_metrics(tmp_path / "metrics.csv")[0]["loss"])


def test_a_run_without_a_table_has_no_rows(tmp_path: Path) -> None:
    assert read_metrics(tmp_path / "metrics.csv") == []


def test_columns_may_be_absent_and_unknown_ones_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("epoch,wer,cer,note\n1,50,20,my words\n")
    assert read_metrics(tmp_path / "metrics.csv") == [{"epoch": 1, "wer": 50.0, "cer": 20.0}]


@pytest.mark.parametrize(("content", "message"), [
    ("epoch,cer\n1,2\n", "has no column 'wer'"),
    ("epoch,wer,cer\n1,,2\n", "wer is '', must be a number from 0"),
    ("epoch,wer,cer,loss\n1,2,3,inf\n", "loss is 'inf', must be a number from 0"),
    ("epoch,wer,cer,wer_dev\n1,2,3,x\n", "wer_dev is 'x', must be a number from 0"),
    ("epoch,wer,cer\n1.5,2,3\n", "an epoch is not a whole number from 0 to 10000"),
    ("epoch,wer,cer\n10001,2,3\n", "an epoch is not a whole number from 0 to 10000"),
])  # fmt: skip
def test_a_table_that_no_run_writes_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "metrics.csv").write_text(content)
    with pytest.raises(InputError, match=rf"metrics\.csv: {message}"):
        read_metrics(tmp_path / "metrics.csv")


def test_the_best_epoch_is_the_latest_of_equals_and_never_the_untrained_model() -> None:
    def row(epoch: int, wer: float) -> EpochMetrics:
        return EpochMetrics(epoch=epoch, wer=wer, cer=1.0, utterance_wer=1.0, eval_seconds=1.0)

    rows = [row(0, 100.0), row(1, 104.0), row(2, 103.0), row(3, 103.0)]
    assert best_of(rows) is rows[3] and best_of(rows[:2]) is rows[1] and best_of(rows[:1]) is rows[0]


def test_the_rows_of_the_table_stand_under_its_head() -> None:
    assert TABLE_HEAD == "epoch      loss      WER      CER audio s/s      time"
    assert TRAINED.table_row() == "   10     12.35    17.10     9.87       191      43 s"
    assert len(UNTRAINED.table_row()) == len(TRAINED.table_row()) == len(TABLE_HEAD)


def test_the_plain_line_tells_what_an_epoch_has() -> None:
    assert TRAINED.line() == (
        "epoch 10: loss 12.3450, 2 steps skipped (loss or gradient not finite), WER 17.10, CER 9.87,"
        " utterance-mean WER 17.50 (dev-clean 12.00, dev-other 25.50)"
    )
    assert UNTRAINED.line().startswith("epoch 0: WER 100.00,")


def test_the_timing_tells_training_from_evaluation() -> None:
    assert TRAINED.timing() == (
        "training 40.2 s (191 audio seconds per second, 10.0% waiting for data), evaluation 2.9 s"
    )
    assert UNTRAINED.timing() == "evaluation 3.0 s"
