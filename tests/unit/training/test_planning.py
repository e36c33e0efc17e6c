import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from params import Params
from speech_recognition import settings
from speech_recognition.mlperf.check import Violation
from speech_recognition.model import build_model
from speech_recognition.runs import checkpoint
from speech_recognition.runs.folder import EpochMetrics
from speech_recognition.runtime.distributed import ALONE, Launch
from speech_recognition.training import planning
from speech_recognition.training.optimizers import build_optimizer
from speech_recognition.training.run import Job

SMALL = settings.apply(
    settings.preset("mini"), ["model.conv_channels=2", "model.rnn_units=4", "submission.division=open"]
)
SEED_LINE = ':::MLLOG {"time_ms": 1, "event_type": "", "key": "seed", "value": 5, "metadata": {}}\n'
RESTARTED = Launch(local_rank=0, run_id="job 7", restarts=1, max_restarts=3)


@pytest.fixture
def request_(tone_dataset: Path, tmp_path: Path) -> planning.Request:
    return planning.Request(
        params=SMALL,
        seed=None,
        data_dir=tone_dataset,
        train_manifest=None,
        val_manifest=None,
        output_dir=None,
        results_root=tmp_path,
        references=tmp_path / "reference_checksums",
        resume=False,
        epoch=None,
        timed=False,
    )


def plan(request: planning.Request, launch: Launch = ALONE) -> Job | int:
    return planning.plan(request, launch, torch.device("cpu"))


def row(epoch: int, wer: float) -> dict[str, Any]:
    return vars(EpochMetrics(epoch=epoch, wer=wer, cer=1.0, utterance_wer=wer, eval_seconds=1.0))


def begin(folder: Path, epochs: int, run_id: str = "job 7") -> None:
    """A run of torchrun's with some epochs behind it, of seed 5."""
    folder.mkdir()
    (folder / "torchrun_id").write_text(run_id + "\n")
    (folder / "speech_ds2.out").write_text(SEED_LINE)
    model = build_model(SMALL.model, 64, seed=1)
    for epoch in range(1, epochs + 1):
        saved = checkpoint.Snapshot(
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


def test_a_restart_after_a_log_that_does_not_pass_fails_again(request_: planning.Request, tmp_path: Path) -> None:
    folder = tmp_path / "mini_20260101_000000_5"
    finish(folder, SEED_LINE)
    timed = dataclasses.replace(request_, timed=True, train_manifest=Path("own"))
    assert plan(timed, RESTARTED) == 1
    assert plan(request_, RESTARTED) == 0


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
    request_: planning.Request,
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
    monkeypatch.setattr(planning, "check_log", refuse_continuations)
    again = dataclasses.replace(request_, params=chosen, output_dir=tmp_path / "run", resume=True, timed=timed)
    assert plan(again) == status
    captured = capsys.readouterr()
    assert captured.out == "" and ("NOT COMPLIANT: resumed" in captured.err) == (timed and len(logs) > 1)


def test_a_new_run_has_a_folder_and_a_seed_of_its_own(request_: planning.Request, tmp_path: Path) -> None:
    first, second = plan(request_), plan(request_)
    assert isinstance(first, Job) and isinstance(second, Job)
    assert first.seed != second.seed and first.output_dir != second.output_dir
    assert first.output_dir.parent == tmp_path and first.snapshot is None
    assert not list(tmp_path.iterdir())  # nothing is made before everything is checked


def test_a_restarted_run_goes_on_in_its_folder(request_: planning.Request, tmp_path: Path) -> None:
    begin(tmp_path / "mini_20261121_100000_5", epochs=2)
    begin(tmp_path / "mini_20261121_110000_6", epochs=1, run_id="another job")
    job = plan(request_, RESTARTED)
    assert isinstance(job, Job) and job.snapshot is not None
    assert (job.output_dir.name, job.seed, job.snapshot.evaluated_epoch) == ("mini_20261121_100000_5", 5, 2)


def test_restarted_after_a_resumption_from_an_epoch_it_takes_the_newest(
    request_: planning.Request, tmp_path: Path
) -> None:
    begin(tmp_path / "mini_20261121_100000_5", epochs=3)
    job = plan(dataclasses.replace(request_, resume=True, epoch=1), RESTARTED)
    assert isinstance(job, Job) and job.snapshot is not None and job.snapshot.evaluated_epoch == 3
    job = plan(dataclasses.replace(request_, resume=True, epoch=1))
    assert isinstance(job, Job) and job.snapshot is not None and job.snapshot.evaluated_epoch == 1


@pytest.mark.parametrize("logged", [True, False])
def test_restarted_before_the_first_checkpoint_it_keeps_its_seed(
    request_: planning.Request, tmp_path: Path, logged: bool
) -> None:
    folder = tmp_path / "mini_20261121_100000_5"
    begin(folder, epochs=0)
    if not logged:
        (folder / "speech_ds2.out").unlink()
    job = plan(request_, RESTARTED)
    assert isinstance(job, Job) and job.snapshot is None and job.output_dir == folder
    assert job.seed == 5 or not logged


def test_restarted_before_its_folder_was_made_it_begins(request_: planning.Request, tmp_path: Path) -> None:
    begin(tmp_path / "mini_20261121_100000_5", epochs=1, run_id="another job")
    job = plan(request_, RESTARTED)
    assert isinstance(job, Job) and job.snapshot is None and not job.output_dir.exists()
