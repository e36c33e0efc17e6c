"""What can be wrong before a run."""

from pathlib import Path

import pytest
import torch

from speech_recognition import settings
from speech_recognition.errors import DiskFullError, InputError
from speech_recognition.training import preflight


def check(*assignments: str) -> None:
    preflight.check_parameters(settings.apply(settings.preset("mini"), assignments), torch.device("cpu"))


def test_noise_is_looked_at_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"augmentation\.noise_folder=.*gone: no recordings there"):
        check(f"augmentation.noise_folder={tmp_path / 'gone'}")
    (tmp_path / "notes.txt").write_text("no audio")
    with pytest.raises(InputError, match=r"notes\.txt: not a recording"):
        check(f"augmentation.noise_folder={tmp_path}")


def test_precision_has_to_fit_the_device() -> None:
    with pytest.raises(InputError, match=r"model\.precision=tf32: only GPUs have it"):
        check("model.precision=tf32")


def test_a_series_needs_the_disk_of_all_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings.preset("tuned")  # 15 GB a run
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 40 * 10**9}))
    preflight.results_folder(chosen, 1, None, tmp_path, runs=2)
    with pytest.raises(DiskFullError, match=r"--output-dir .* needs 1\d\d\.\d GB of free disk"):
        preflight.results_folder(chosen, 1, None, tmp_path, runs=10)
