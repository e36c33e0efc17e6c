"""What can be wrong before a run, and what makes it one of the open division."""

from pathlib import Path

import pytest
import torch

from speech_recognition import settings
from speech_recognition.errors import InputError
from speech_recognition.training import preflight
from speech_recognition.training.run import Job


def make(dataset: Path, *assignments: str, preset: str = "mini", **manifests: Path) -> Job:
    chosen = settings.apply(settings.preset(preset), assignments)
    own = preflight.Manifests(**manifests)
    return preflight.make_job(chosen, 1, torch.device("cpu"), dataset / "run", dataset, own)


@pytest.mark.parametrize(
    "assignment",
    [
        "data.batch_size=32",
        "optimizer.learning_rate=0.01",
        "model.precision=bf16",
        "augmentation.pictures=3",
        "training.epochs=5",
        "data.workers=1",
    ],
)
def test_the_closed_division_leaves_some_things_free(
    tone_dataset: Path, capsys: pytest.CaptureFixture[str], assignment: str
) -> None:
    assert make(tone_dataset, assignment).params.submission.division == "closed"
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "assignment",
    [
        "model.rnn_units=8",
        "features.mel_bands=80",
        "augmentation.time_masks=2",
        "data.order=ascending",
        "data.longest_seconds=9.0",
        "training.target_wer=50.0",
    ],
)
def test_what_the_preset_does_not_have_makes_a_run_of_the_open_division(
    tone_dataset: Path, capsys: pytest.CaptureFixture[str], assignment: str
) -> None:
    assert make(tone_dataset, assignment).params.submission.division == "open"
    assert capsys.readouterr().err == f"note: a run of the open division, for: {assignment}\n"


def test_manifests_of_ones_own_do_so_too(tone_dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = make(tone_dataset, train=tone_dataset / "manifests" / "train.csv")
    assert job.params.submission.division == "open"
    assert "for: other manifests than the dataset's" in capsys.readouterr().err


def test_twenty_epochs_are_open_from_the_start(tone_dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make(tone_dataset, preset="aggressive_lr").params.submission.division == "open"
    assert capsys.readouterr().err == ""


def test_a_series_needs_the_disk_of_all_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings.preset("tuned")  # 15 GB a run
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 40 * 10**9}))
    preflight.results_folder(chosen, 1, None, tmp_path, runs=2)
    with pytest.raises(InputError, match=r"--output-dir .* needs 1\d\d\.\d GB of free disk"):
        preflight.results_folder(chosen, 1, None, tmp_path, runs=10)
