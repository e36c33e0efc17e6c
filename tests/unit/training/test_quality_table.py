"""The table of a run's epochs."""

import csv
import dataclasses
from pathlib import Path

import pytest
import torch

import params
from speech_recognition.cli import main
from speech_recognition.corpus.manifest import read_manifest, write_manifest
from speech_recognition.errors import InputError
from speech_recognition.model import build_model
from speech_recognition.parameters import OptimizerParams, Stage
from speech_recognition.runs import checkpoint
from speech_recognition.runs.metrics import EpochMetrics
from speech_recognition.scoring import Score, score
from speech_recognition.training.optimizers import build_optimizer
from speech_recognition.training.quality_table import evaluate_epochs

STAGES = (Stage(first_epoch=2, batch_size=32, momentum=0.99, anneal_factor=1.0),)
SMALL = dataclasses.replace(
    params.mini(),
    model=dataclasses.replace(params.mini().model, conv_channels=2, rnn_units=4),
    optimizer=OptimizerParams(),
    stages=STAGES,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run with two epochs' checkpoints."""
    for epoch in (1, 2):
        model = build_model(SMALL.model, 64, seed=epoch)
        rows = [
            EpochMetrics(
                epoch=number, wer=99.0, cer=9.0, utterance_wer=9.0, eval_seconds=1.0, learning_rate=1e-4 / number
            )
            for number in range(1, epoch + 1)
        ]
        saved = checkpoint.TrainingState(
            params=SMALL,
            seed=1,
            train_set="",
            val_set="",
            tally={},
            metrics=[vars(row) for row in rows],
            model=model.state_dict(),
            optimizer=build_optimizer(SMALL.optimizer, model).state_dict(),
        )
        checkpoint.save(checkpoint.epoch_path(tmp_path / "run" / "checkpoints", epoch), saved, ["last.pt", "best.pt"])
    return tmp_path / "run"


def test_every_epoch_has_a_row_with_each_subset_and_the_recipe(
    run: Path, tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    val = tone_dataset / "manifests" / "val.csv"
    utterances = read_manifest(val)
    two = [dataclasses.replace(each, subset=f"dev-{'ab'[place % 2]}") for place, each in enumerate(utterances)]
    write_manifest(tmp_path / "two.csv", two)
    table = tmp_path / "table.csv"
    assert main(["evaluate", str(run), str(val), str(tmp_path / "two.csv"), "--output", str(table)]) == 0
    head, rule, first, second = capsys.readouterr().out.splitlines()
    assert head == (
        "| epoch | WER of val-tones (%) | WER of dev-a (%) | WER of dev-b (%) | WER of dev-a + dev-b (%) | recipe |"
    )
    assert rule == "|---|---|---|---|---|---|"
    assert first.startswith("| 1 | ") and second.startswith("| 2 | ")
    assert first.endswith("| mini: sgd, batch 16, learning rate 1.00e-04, momentum 0.9 |")
    assert second.endswith("| mini: sgd, batch 32, learning rate 5.00e-05, momentum 0.99 |")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert all(row["WER of val-tones (%)"] == row["WER of dev-a + dev-b (%)"] for row in rows)  # the same utterances
    assert main(["evaluate", str(run / "checkpoints" / "epoch_02.pt"), str(val)]) == 0
    assert f"all: WER {rows[1]['WER of val-tones (%)']}" in capsys.readouterr().out


def test_every_epoch_is_decoded_as_was_asked(run: Path, tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "val.csv")
    rows = evaluate_epochs(
        run,
        [utterances],
        lambda state, path: checkpoint.recognizer_of(state, path, torch.device("cpu")),
        decode=lambda _, lengths: ["BAD"] * len(lengths),
    )
    rate = sum((score(each.transcript, "BAD") for each in utterances), Score()).wer
    assert [row["WER of val-tones (%)"] for row in rows] == [f"{rate:.2f}"] * 2 and rate < 100


def test_two_sets_with_one_subset_are_refused_as_they_would_share_a_column(run: Path, tone_dataset: Path) -> None:
    val = read_manifest(tone_dataset / "manifests" / "val.csv")
    with pytest.raises(InputError, match=f"^{val[0].subset}: a subset of several manifests; evaluate them one by one"):
        next(evaluate_epochs(run, [val, val[:1]], lambda *_: pytest.fail("an epoch was evaluated first")))


def test_a_folder_without_checkpoints_is_refused(
    tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(tmp_path), str(tone_dataset / "manifests" / "val.csv")]) == 2
    assert "no checkpoints/epoch_NN.pt in it" in capsys.readouterr().err
