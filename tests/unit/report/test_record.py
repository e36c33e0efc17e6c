"""Tests of reading the folder of a run."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from speech_recognition.errors import InputError
from speech_recognition.report.record import find_runs, read_record, read_records
from speech_recognition.runs.metrics import EpochMetrics, best_of

Maker = Callable[..., Path]


def test_a_run_is_read_whole(run_folder: Maker) -> None:
    record = read_record(run_folder())
    assert (record.name, record.seed, record.reached_target, record.violations) == ("run", 7, True, [])
    assert record.parameters["preset"] == "mini" and record.parameters["data.batch_size"] == 16
    assert record.best is not None and (record.best["epoch"], record.best["wer"]) == (2, 21.0)
    assert len(record.steps) == 14 and len(record.utterances) == 4
    assert record.utterances["speaker"].tolist() == ["000", "001", "002", "003"]
    assert record.system["framework"].startswith("PyTorch")


def test_the_dataset_is_the_one_that_the_log_names(run_folder: Maker) -> None:
    verified = read_record(run_folder("verified", verified=("all", "5" * 64)))
    assert verified.dataset == f"all, SHA-256 {'5' * 64}"
    for name, verified in (("unknown", None), ("odd", ("all", "no sum"))):
        record = read_record(run_folder(name, verified=verified))
        assert record.dataset == "mini_dataset; the log has no checksum of it"


def test_the_data_of_an_open_run_are_named_but_not_verified(run_folder: Maker) -> None:
    folder = run_folder(verified=None)
    parameters = json.loads((folder / "params.json").read_text())
    parameters["submission"]["division"], parameters["data"]["dataset"] = "open", "/data/digits"
    (folder / "params.json").write_text(json.dumps(parameters))
    assert read_record(folder).dataset == "/data/digits; the run did not verify it, as the open division allows"


def test_a_run_that_ended_before_its_first_evaluation(run_folder: Maker) -> None:
    folder = run_folder()
    for name in ("metrics.csv", "steps.csv", "utterances.csv", "system.json"):
        (folder / name).unlink()
    record = read_record(folder)
    assert record.best is None and record.epochs.empty and record.system == {}


def test_a_run_is_untrained_until_a_wer_is_below_that_of_an_empty_transcript(run_folder: Maker) -> None:
    record = read_record(run_folder(wers=(100.0, 103.2)))
    assert record.untrained and replace(record, epochs=pd.DataFrame()).untrained
    assert not replace(record, epochs=record.epochs.assign(wer=99.0)).untrained
    assert replace(record, epochs=record.epochs.assign(wer=99.0, epoch=0)).untrained


def test_the_best_epoch_is_the_one_whose_checkpoint_is_best(run_folder: Maker) -> None:
    record = read_record(run_folder(wers=(99.0, 60.0, 60.0, 70.0)))
    assert record.best is not None and record.best["epoch"] == 3
    shifted = replace(record, epochs=record.epochs.assign(epoch=[0, 1, 2, 3], wer=[40.0, 60.0, 50.0, 70.0]))
    assert shifted.best is not None and (shifted.best["epoch"], shifted.best["wer"]) == (2, 50.0)
    for each in (record, shifted):
        pairs = zip(each.epochs["epoch"].astype(int), each.epochs["wer"], strict=True)
        rows = [EpochMetrics(epoch=epoch, wer=wer, cer=1, utterance_wer=1, eval_seconds=1) for epoch, wer in pairs]
        assert each.best is not None and each.best["epoch"] == best_of(rows).epoch


def test_logs_of_runs_that_were_killed_are_read_as_far_as_they_go(run_folder: Maker) -> None:
    folder = run_folder()
    whole = (folder / "speech_ds2.out").read_text()
    (folder / "speech_ds2.out").write_text("STARTING TIMING RUN AT 2026-11-21 10:15:00 AM\n")
    (folder / "speech_ds2_resumed_1.out").write_text(whole[: whole.index("epoch_stop")])
    (folder / "speech_ds2_resumed_2.out").write_text(whole)
    record = read_record(folder)
    assert len(record.logs) == 2 and record.seed == 7 and record.reached_target
    assert record.logs[0]["key"].iloc[-1] == "epoch_start"
    assert record.violations


def test_runs_of_one_name_are_told_apart_by_their_series(run_folder: Maker) -> None:
    folders = [run_folder("a/run_0"), run_folder("b/run_0"), run_folder("b/run_1")]
    assert [record.name for record in read_records(folders)] == ["a/run_0", "b/run_0", "run_1"]


def test_what_the_checker_finds_is_kept(run_folder: Maker) -> None:
    record = read_record(run_folder(wers=(53.2, 31.0)))
    assert not record.reached_target
    assert any("did not end with success" in violation for violation in record.violations)


def test_texts_stay_texts(run_folder: Maker) -> None:
    record = read_record(run_folder(hypotheses=["NA", "", "NULL", "7"]))
    assert record.utterances["hypothesis"].tolist() == ["NA", "", "NULL", "7"]


def test_runs_are_found_in_their_order(run_folder: Maker, tmp_path: Path) -> None:
    for number in (0, 1, 10, 2):
        run_folder(f"series/run_{number}")
    series = tmp_path / "series"
    found = find_runs([series, series / "run_1"])
    assert [path.name for path in found] == ["run_0", "run_1", "run_2", "run_10"]


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"{tmp_path}: no speech_ds2\.out in it"):
        find_runs([tmp_path])


@pytest.mark.parametrize(("name", "content"), [
    ("params.json", "{"),
    ("metrics.csv", 'a,b\n1,2,3\n"'),
    ("system.json", "[]"),
    ("speech_ds2.out", ":::MLLOG {\n"),
])  # fmt: skip
def test_a_damaged_file_is_named(run_folder: Maker, name: str, content: str) -> None:
    folder = run_folder()
    (folder / name).write_text(content)
    with pytest.raises(InputError, match=name):
        read_record(folder)


def test_a_run_without_parameters_is_no_run(run_folder: Maker) -> None:
    folder = run_folder()
    shutil.move(folder / "params.json", folder / "gone.json")
    with pytest.raises(InputError, match=r"params\.json: No such file"):
        read_record(folder)
