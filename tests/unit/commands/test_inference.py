"""Tests of the command `test` and of the options that the commands of inference share."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from speech_recognition.cli import main
from speech_recognition.commands import inference
from speech_recognition.corpus.manifest import read_manifest, write_manifest
from speech_recognition.runs.csv_tables import read_table


@pytest.fixture
def data(tone_dataset: Path, tmp_path: Path) -> Path:
    """Return a dataset with a test set of six utterances in two subsets."""
    utterances = read_manifest(tone_dataset / "manifests" / "val.csv")
    write_manifest(tmp_path / "data" / "manifests" / "test.csv", utterances)
    return tmp_path / "data"


@pytest.fixture(autouse=True)
def keep_threads() -> object:
    """The other tests keep their number of threads."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_the_report_has_error_rates_latency_and_throughput(
    save_model: Callable[..., Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["test", str(save_model()), "mini", "-1", "1", "-1", "--device", "cpu"]
    table = tmp_path / "test.csv"
    assert main([*words, "--data-dir", str(data), "--output", str(table), "--threads", "2", "--precision", "int8"]) == 0
    *scores, where, latency, throughput = capsys.readouterr().out.splitlines()
    assert scores[-1].startswith("all: WER ") and scores[-1].endswith("of 6 utterances)")
    assert where == "computed on: cpu, 2 CPU threads, precision int8"
    assert latency.startswith("latency: mean ") and latency.endswith("(6 inputs in batches of 1)")
    assert "50th percentile" in latency and "99th percentile" in latency
    assert throughput.startswith("throughput: ") and throughput.endswith(" times real time")
    assert len(read_table(table)) == 6


def test_the_error_rates_are_those_of_evaluate(
    save_model: Callable[..., Path], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, device = str(save_model()), ["--device", "cpu"]
    assert main(["test", model, "mini", "-1", "1", "-1", "--batch-size", "3", "--data-dir", str(data), *device]) == 0
    tested = capsys.readouterr().out.splitlines()
    assert main(["evaluate", model, str(data / "manifests" / "test.csv"), *device]) == 0
    assert tested[:-3] == capsys.readouterr().out.splitlines()


def test_a_held_row_and_a_cap_on_batches(
    save_model: Callable[..., Path], data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["test", str(save_model()), "mini", "4", "1.5", "2", "--batch-size", "2", "--device", "cpu"]
    assert main([*words, "--data-dir", str(data), "--output", str(tmp_path / "test.csv")]) == 0
    assert "(4 inputs in batches of 2, divided by 1.5)" in capsys.readouterr().out
    wanted = read_manifest(data / "manifests" / "test.csv")[4].id
    assert [row["utterance_id"] for row in read_table(tmp_path / "test.csv")] == [wanted] * 4


def test_a_forced_duration_has_no_error_rates(
    save_model: Callable[..., Path], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["test", str(save_model()), "mini", "-1", "1", "1", "--force-duration", "0.5", "--device", "cpu"]
    assert main([*words, "--data-dir", str(data)]) == 0
    assert capsys.readouterr().out.startswith("WER, CER: none, as --force-duration changes the clips\n")


def test_an_epoch_is_that_of_the_run(
    save_model: Callable[..., Path],
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference, "ROOT", tmp_path)
    rest = ["mini", "-1", "1", "1", "--data-dir", str(data), "--device", "cpu"]
    assert main(["test", "3", *rest]) == 2
    assert "no run of preset mini in it; name one with --run, or a file" in capsys.readouterr().err
    for name in ("mini_20260101_000000_1", "mini_20260102_000000_1", "reference_20260103_000000_1"):
        folder = tmp_path / "results" / name / "checkpoints"
        folder.mkdir(parents=True)
        shutil.copy(save_model(), folder / ("epoch_01.pt" if name.startswith("mini_20260101") else "epoch_03.pt"))
    assert main(["test", "3", *rest]) == 0, "the newest run of mini"
    assert main(["test", "1", *rest]) == 2
    error = capsys.readouterr().err
    assert "mini_20260102_000000_1/checkpoints/epoch_01.pt: no such checkpoint; the run has epoch_03" in error
    assert main(["test", "1", *rest, "--run", str(tmp_path / "results" / "mini_20260101_000000_1")]) == 0


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (2, "ov", "argument set: invalid choice: 'ov'"),
        (3, "-2", "argument hold_idx: -2: must be a whole number from 0 to 10000000, or -1 for the normal set"),
        (4, "0", "argument hold_sec: 0: must be a number from 0.01 to 3600"),
        (4, "nan", "argument hold_sec: nan: must be a number from 0.01 to 3600"),
        (5, "0", "argument n_trials: 0: must be a whole number from 1 to 10000000, or -1 for all"),
        (7, "129", "argument --batch-size: 129: must be a whole number from 1 to 128"),
        (7, "-1", "argument --batch-size: -1: must be a whole number from 1 to 128"),
    ],
)
def test_a_bad_argument_is_named(place: int, value: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["test", "1", "mini", "-1", "1", "-1", "--batch-size", "1"]
    words[place] = value
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_a_file_that_is_no_model_is_one_line(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "junk.pt").write_bytes(b"junk")
    assert main(["test", str(tmp_path / "junk.pt"), "mini", "-1", "1", "-1", "--data-dir", str(data)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_evaluate_computes_a_run_in_the_precision_that_is_asked_for(
    save_model: Callable[..., Path], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", str(save_model("lstm.pt", "model.rnn_type=lstm")), str(data / "manifests" / "test.csv")]
    assert main([*words, "--device", "cpu", "--precision", "int8"]) == 2
    assert "--precision int8: only models with GRU layers have it" in capsys.readouterr().err
