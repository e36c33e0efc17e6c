"""From what a command asks for to a job."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from speech_recognition import settings
from speech_recognition.errors import DiskFullError, InputError
from speech_recognition.mlperf.check import Violation
from speech_recognition.model import build_model
from speech_recognition.parameters import Params, Stage
from speech_recognition.runs import checkpoint
from speech_recognition.runs.metrics import EpochMetrics
from speech_recognition.runtime.distributed import ALONE, Launch
from speech_recognition.training import prepare
from speech_recognition.training.job import Job
from speech_recognition.training.optimizers import build_optimizer

SMALL = settings.apply(
    settings.preset("mini"), ["model.conv_channels=2", "model.rnn_units=4", "submission.division=open"]
)
SEED_LINE = ':::MLLOG {"time_ms": 1, "event_type": "", "key": "seed", "value": 5, "metadata": {}}\n'
RESTARTED = Launch(local_rank=0, run_id="job 7", restarts=1, max_restarts=3)


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a command asks for."""

    places: prepare.Places
    params: Params = SMALL
    resuming: bool = False
    epoch: int | None = None
    timed: bool = False


@pytest.fixture
def asked(tone_dataset: Path, tmp_path: Path) -> Asked:
    return Asked(prepare.Places(data_dir=tone_dataset, results=tmp_path, references=tmp_path / "reference_checksums"))


def plan(asked: Asked, launch: Launch = ALONE) -> Job:
    return prepare.prepare(
        asked.params,
        None,
        asked.places,
        launch,
        torch.device("cpu"),
        resuming=asked.resuming,
        epoch=asked.epoch,
        timed=asked.timed,
    )


def ended(asked: Asked, launch: Launch = ALONE) -> int:
    """Return the exit status of a run with nothing left to do."""
    with pytest.raises(prepare.NothingLeftError) as end:
        plan(asked, launch)
    return end.value.status


def row(epoch: int, wer: float) -> dict[str, Any]:
    return vars(EpochMetrics(epoch=epoch, wer=wer, cer=1.0, utterance_wer=wer, eval_seconds=1.0))


def begin(folder: Path, epochs: int, run_id: str = "job 7") -> None:
    """A run of torchrun's with some epochs behind it, of seed 5."""
    folder.mkdir()
    (folder / "torchrun_id").write_text(run_id + "\n")
    (folder / "speech_ds2.out").write_text(SEED_LINE)
    model = build_model(SMALL.model, 64, seed=1)
    for epoch in range(1, epochs + 1):
        saved = checkpoint.TrainingState(
            params=SMALL,
            seed=5,
            train_set="",
            val_set="",
            tally={"epoch": epoch, "steps": 3},
            metrics=[row(number, 50.0) for number in range(1, epoch + 1)],
            model=model.state_dict(),
            optimizer=build_optimizer(SMALL.optimizer, model).state_dict(),
        )
        checkpoint.save(checkpoint.epoch_path(folder / "checkpoints", epoch), saved, ["last.pt"])


def finish(folder: Path, log: str, chosen: Params = SMALL) -> None:
    """A run of torchrun's that has reached a WER of 20 in epoch 3."""
    begin(folder, epochs=2)
    path = folder / "checkpoints" / "last.pt"
    ended = dataclasses.replace(checkpoint.read(path), params=chosen)
    checkpoint.save(path, dataclasses.replace(ended, metrics=[*ended.metrics, row(3, 20.0)]))
    (folder / "speech_ds2.out").write_text(log)


def test_a_restart_after_a_log_that_does_not_pass_fails_again(asked: Asked, tmp_path: Path) -> None:
    folder = tmp_path / "mini_20260101_000000_5"
    finish(folder, SEED_LINE)
    assert ended(dataclasses.replace(asked, timed=True), RESTARTED) == 1
    assert ended(asked, RESTARTED) == 0


@pytest.mark.parametrize(
    ("target", "logs", "timed", "status"),
    [
        (23.0, ["speech_ds2.out"], True, 0),
        (23.0, ["speech_ds2.out", "speech_ds2_resumed_1.out"], True, 1),
        (23.0, ["speech_ds2.out", "speech_ds2_resumed_1.out"], False, 0),
        (10.0, ["speech_ds2.out", "speech_ds2_resumed_1.out"], True, 3),
    ],
)
def test_the_same_command_on_a_run_that_has_ended_has_the_same_status(
    asked: Asked,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    target: float,
    logs: list[str],
    timed: bool,
    status: int,
) -> None:
    def refuse_continuations(path: Path, _: str) -> list[Violation]:
        return [Violation("resumed: a continuation")] if "resumed" in path.name else []

    chosen = settings.apply(SMALL, [f"training.target_wer={target}", "training.epochs=3"])
    finish(tmp_path / "run", SEED_LINE, chosen)
    for name in logs:
        (tmp_path / "run" / name).write_text(SEED_LINE)
    monkeypatch.setattr(prepare, "check_log", refuse_continuations)
    places = dataclasses.replace(asked.places, output_dir=tmp_path / "run")
    again = dataclasses.replace(asked, params=chosen, places=places, resuming=True, timed=timed)
    assert ended(again) == status
    captured = capsys.readouterr()
    assert captured.out == "" and ("NOT COMPLIANT: resumed" in captured.err) == (timed and len(logs) > 1)


def test_a_new_run_has_a_folder_and_a_seed_of_its_own(asked: Asked, tmp_path: Path) -> None:
    first, second = plan(asked), plan(asked)
    assert first.seed != second.seed and first.output_dir != second.output_dir
    assert first.output_dir.parent == tmp_path and first.state is None
    assert not list(tmp_path.iterdir())  # nothing is made before everything is checked


def test_a_restarted_run_goes_on_in_its_folder(asked: Asked, tmp_path: Path) -> None:
    begin(tmp_path / "mini_20261121_100000_5", epochs=2)
    begin(tmp_path / "mini_20261121_110000_6", epochs=1, run_id="another job")
    job = plan(asked, RESTARTED)
    assert job.state is not None
    assert (job.output_dir.name, job.seed, job.state.evaluated_epoch) == ("mini_20261121_100000_5", 5, 2)


def test_restarted_after_a_resumption_from_an_epoch_it_takes_the_newest(asked: Asked, tmp_path: Path) -> None:
    begin(tmp_path / "mini_20261121_100000_5", epochs=3)
    job = plan(dataclasses.replace(asked, resuming=True, epoch=1), RESTARTED)
    assert job.state is not None and job.state.evaluated_epoch == 3
    job = plan(dataclasses.replace(asked, resuming=True, epoch=1))
    assert job.state is not None and job.state.evaluated_epoch == 1


@pytest.mark.parametrize("logged", [True, False])
def test_restarted_before_the_first_checkpoint_it_keeps_its_seed(asked: Asked, tmp_path: Path, logged: bool) -> None:
    folder = tmp_path / "mini_20261121_100000_5"
    begin(folder, epochs=0)
    if not logged:
        (folder / "speech_ds2.out").unlink()
    job = plan(asked, RESTARTED)
    assert job.state is None and job.output_dir == folder
    assert job.seed == 5 or not logged


def test_restarted_before_its_folder_was_made_it_begins(asked: Asked, tmp_path: Path) -> None:
    begin(tmp_path / "mini_20261121_100000_5", epochs=1, run_id="another job")
    job = plan(asked, RESTARTED)
    assert job.state is None and not job.output_dir.exists()


def check(*assignments: str) -> None:
    prepare.check_parameters(settings.apply(settings.preset("mini"), assignments), torch.device("cpu"))


def test_another_division_is_told_as_another_dataset(asked: Asked, tmp_path: Path) -> None:
    """Not by advice to set the division, which follows from the dataset."""
    closed = dataclasses.replace(SMALL, submission=dataclasses.replace(SMALL.submission, division="closed"))
    begin(tmp_path / "mini_20261121_100000_5", epochs=1)
    path = tmp_path / "mini_20261121_100000_5" / "checkpoints" / "last.pt"
    checkpoint.save(path, dataclasses.replace(checkpoint.read(path), params=closed))
    with pytest.raises(InputError, match="is of the closed division, and would go on as open; resume it as it began"):
        plan(dataclasses.replace(asked, resuming=True))


def test_another_val_manifest_is_refused_before_the_run_is_opened(asked: Asked, tmp_path: Path) -> None:
    begin(tmp_path / "mini_20261121_100000_5", epochs=1)
    places = dataclasses.replace(asked.places, val_manifest=asked.places.data_dir / "manifests" / "train.csv")
    with pytest.raises(InputError, match=r"train\.csv: not the utterances that the run was evaluated on"):
        plan(dataclasses.replace(asked, places=places, resuming=True))


def test_noise_is_looked_at_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"augmentation\.noise_folder=.*gone: no recordings there"):
        check(f"augmentation.noise_folder={tmp_path / 'gone'}")
    (tmp_path / "notes.txt").write_text("no audio")
    with pytest.raises(InputError, match=r"notes\.txt: not a recording"):
        check(f"augmentation.noise_folder={tmp_path}")


def test_precision_has_to_fit_the_device() -> None:
    with pytest.raises(InputError, match=r"model\.precision=tf32: only GPUs have it"):
        check("model.precision=tf32")


@pytest.mark.parametrize("best", ["fp32", "bf16"])
def test_an_automatic_precision_is_decided_once(
    asked: Asked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best: str
) -> None:
    """A run that goes on elsewhere keeps the precision that it began with."""
    monkeypatch.setattr(prepare, "best_precision", lambda _: best)
    automatic = dataclasses.replace(asked, params=settings.apply(SMALL, ["model.precision=auto"]))
    assert plan(automatic).params == settings.apply(SMALL, [f"model.precision={best}"])
    begin(tmp_path / "mini_20261121_100000_5", epochs=1)
    job = plan(dataclasses.replace(automatic, resuming=True))
    assert job.state is not None and job.params == job.state.params and job.params.model.precision == "fp32"


def test_a_precision_that_is_named_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "best_precision", lambda _: "bf16")
    named = settings.apply(settings.preset("reference"), ["model.precision=fp32"])
    assert prepare.resolve_precision(named, torch.device("cpu"), None) == named


def test_a_run_in_another_precision_is_not_gone_on_with(asked: Asked, tmp_path: Path) -> None:
    begin(tmp_path / "mini_20261121_100000_5", epochs=1)
    other = settings.apply(SMALL, ["model.precision=bf16"])
    with pytest.raises(InputError, match=r"model\.precision=fp32, not bf16; add --set model\.precision=fp32"):
        plan(dataclasses.replace(asked, params=other, resuming=True))


@pytest.mark.parametrize(
    ("preset", "advice"),
    [("mini", "put the preset's stages back into params.py"), ("small", "give its --preset mini")],
)
def test_a_run_whose_preset_has_got_stages_is_told_what_to_do(
    asked: Asked, tmp_path: Path, preset: str, advice: str
) -> None:
    folder = tmp_path / "mini_20261121_100000_5"
    begin(folder, epochs=1)
    stages = (Stage(first_epoch=2, batch_size=32, momentum=0.99, anneal_factor=1.0),)
    now = dataclasses.replace(SMALL, preset=preset, stages=stages)
    places = dataclasses.replace(asked.places, output_dir=folder)
    with pytest.raises(InputError, match=r"its checkpoint has other parameters: .*stages=") as caught:
        plan(dataclasses.replace(asked, params=now, places=places, resuming=True))
    assert str(caught.value).endswith(f"; {advice}")


def test_with_stages_and_another_parameter_changed_both_remedies_are_named(asked: Asked, tmp_path: Path) -> None:
    folder = tmp_path / "mini_20261121_100000_5"
    begin(folder, epochs=1)
    stages = (Stage(first_epoch=2, batch_size=32, momentum=0.99, anneal_factor=1.0),)
    now = dataclasses.replace(settings.apply(SMALL, ["optimizer.learning_rate=1e-3"]), stages=stages)
    places = dataclasses.replace(asked.places, output_dir=folder)
    with pytest.raises(InputError, match=r"; add --set optimizer\.learning_rate=\S+ and put the preset's stages back"):
        plan(dataclasses.replace(asked, params=now, places=places, resuming=True))


def test_a_series_needs_the_disk_of_all_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = settings.preset("reference")  # 15 GB a run
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 40 * 10**9}))
    prepare.results_folder(chosen, 1, None, tmp_path, runs=2)
    with pytest.raises(DiskFullError, match=r"--output-dir .* needs 1\d\d\.\d GB of free disk"):
        prepare.results_folder(chosen, 1, None, tmp_path, runs=10)
