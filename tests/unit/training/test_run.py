"""Tests of a whole run in this process: its log, its table and its checkpoints."""

import csv
import dataclasses
import io
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import params
from speech_recognition import settings
from speech_recognition.commands import REFERENCES
from speech_recognition.corpus.manifest import read_manifest, write_manifest
from speech_recognition.errors import DivergedError, InputError
from speech_recognition.mlperf.check import check_log
from speech_recognition.runs.folder import RunFolder, open_folder
from speech_recognition.runs.log import Output
from speech_recognition.runtime.devices import choose_device
from speech_recognition.runtime.distributed import ALONE
from speech_recognition.training import prepare, run, step
from speech_recognition.training.job import Job

SMALL = settings.apply(
    params.mini(),
    [
        "model.conv_channels=8",
        "model.rnn_units=48",
        "data.batch_size=4",
        "optimizer.learning_rate=0.008",
        "training.epochs=40",
        "submission.division=open",
    ],
)


@pytest.fixture(autouse=True)
def keep_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests keeps its page cache."""
    monkeypatch.setattr(run, "drop_caches", lambda: False)


def plan(dataset: Path, output: Path, *assignments: str, seed: int = 7, **manifests: Path) -> Job:
    chosen = settings.apply(SMALL, assignments)
    folders = {"output_dir": output, "results": output.parent, "references": REFERENCES}
    places = prepare.Places(data_dir=dataset, **folders, **manifests)
    return prepare.prepare(chosen, seed, places, ALONE, choose_device("cpu"))


def execute(job: Job) -> bool:
    with open_folder(job.output_dir, job.params, {}) as output:
        return run.run(job, output)


def log_lines(folder: Path) -> list[str]:
    return RunFolder(folder).log.read_text().splitlines()


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line.removeprefix(":::MLLOG ")) for line in log_lines(folder) if line.startswith(":::MLLOG ")]


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_learns_stops_at_the_target_and_passes_the_checker(
    tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    reached = execute(plan(tone_dataset, folder, "training.evaluate_first=true"))
    rows = table(folder)
    assert reached
    assert float(rows[0]["wer"]) > 80 and rows[0]["epoch"] == "0" and rows[0]["loss"] == ""
    assert float(rows[-1]["wer"]) <= 23.0
    assert all(float(row["wer"]) > 23.0 for row in rows[:-1])
    assert len(rows) < 41
    assert check_log(RunFolder(folder).log, "open") == []
    assert not any(event["metadata"].get("epoch_num") == 0 for event in events(folder))
    assert events(folder)[-1]["metadata"]["status"] == "success"
    names = sorted(path.name for path in (folder / "checkpoints").iterdir())
    assert names == ["best.pt", *(f"epoch_{epoch:02d}.pt" for epoch in range(1, len(rows))), "last.pt"]
    assert settings.from_dict(json.loads((folder / "params.json").read_text())).preset == "mini"
    captured = capsys.readouterr()
    assert captured.out == RunFolder(folder).log.read_text()
    assert captured.err.count("hypothesis:") == 3 * len(rows)


def test_the_same_seed_gives_the_same_values_and_another_gives_others(tone_dataset: Path, tmp_path: Path) -> None:
    def values(name: str, seed: int) -> list[object]:
        execute(plan(tone_dataset, tmp_path / name, "training.epochs=2", seed=seed))
        values = [(event["key"], event["value"]) for event in events(tmp_path / name) if event["key"] != "seed"]
        return values + [line for line in log_lines(tmp_path / name) if line.startswith("epoch")]

    assert values("a", 1) == values("b", 1)
    assert values("c", 2) != values("a2", 1)


def test_the_untrained_model_is_never_the_best(tone_dataset: Path, tmp_path: Path) -> None:
    assignments = ("training.epochs=1", "training.evaluate_first=true", "optimizer.learning_rate=1e-9")
    execute(plan(tone_dataset, tmp_path / "run", *assignments))
    with (tmp_path / "run" / "metrics.csv").open(newline="") as file:
        untrained, first = (float(row["wer"]) for row in csv.DictReader(file))
    assert untrained <= first
    assert (tmp_path / "run" / "checkpoints" / "best.pt").is_file()
    assert any(line.endswith(f"the best WER is {first:.2f}, of epoch 1") for line in log_lines(tmp_path / "run"))


def test_the_table_of_utterances_is_of_a_trained_model(
    tone_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[float] = []
    wers = iter([40.0, 60.0, 50.0, 70.0])

    def evaluated(*_: object, **__: object) -> SimpleNamespace:
        wer = next(wers)
        return SimpleNamespace(
            total=SimpleNamespace(wer=wer, cer=1.0, utterance_wer=wer), by_subset=dict, utterances=[], hypotheses=[]
        )

    monkeypatch.setattr(run, "evaluate", evaluated)
    monkeypatch.setattr(run, "write_utterances", lambda _, evaluation: written.append(evaluation.total.wer))
    execute(plan(tone_dataset, tmp_path / "run", "training.epochs=3", "training.evaluate_first=true"))
    assert written == [40.0, 60.0, 50.0]  # anew for each better epoch; the first is of the untrained model


def test_a_run_that_misses_the_target_says_aborted(tone_dataset: Path, tmp_path: Path) -> None:
    reached = execute(plan(tone_dataset, tmp_path / "run", "training.epochs=1"))
    assert not reached
    assert events(tmp_path / "run")[-1]["metadata"]["status"] == "aborted"
    assert any("run_stop" in str(violation) for violation in check_log(RunFolder(tmp_path / "run").log, "open"))
    assert (tmp_path / "run" / "checkpoints" / "epoch_01.pt").is_file()


def test_two_runs_do_not_write_into_one_folder(tone_dataset: Path, tmp_path: Path) -> None:
    job = plan(tone_dataset, tmp_path / "run")
    with open_folder(job.output_dir, job.params, {}):
        with pytest.raises(InputError, match="another run is writing there"):
            execute(job)
        assert (tmp_path / "run" / "speech_ds2.out").is_file()


def test_pictures_show_utterances_before_and_after(tone_dataset: Path, tmp_path: Path) -> None:
    assignments = ["training.epochs=1", "augmentation.tempo_min=0.85", "augmentation.pictures=3"]
    execute(plan(tone_dataset, tmp_path / "run", *assignments))
    pictures = list((tmp_path / "run" / "augmentation").iterdir())
    assert len(pictures) == 3
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in pictures)


def test_an_augmented_run_is_the_same_from_the_same_seed(tone_dataset: Path, tmp_path: Path) -> None:
    assignments = ["training.epochs=1", "augmentation.tempo_min=0.85", "augmentation.time_masks=3"]
    for name in ("a", "b"):
        execute(plan(tone_dataset, tmp_path / name, *assignments))
    execute(plan(tone_dataset, tmp_path / "plain", "training.epochs=1"))
    first, second, plain = (table(tmp_path / name)[0]["loss"] for name in ("a", "b", "plain"))
    assert first == second != plain


def test_skipped_steps_are_counted_and_too_many_in_a_row_end_the_run(
    tone_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, calls = step.training_step, iter(range(1000))

    def bad_at_times(*arguments: Any) -> step.Step:
        return step.Step(float("nan"), False) if next(calls) % 4 < bad else good(*arguments)

    monkeypatch.setattr("speech_recognition.training.trainer.training_step", bad_at_times)
    bad = 0
    job = plan(tone_dataset, tmp_path / "run", "training.epochs=1", "training.max_skipped=3")
    bad = 2
    execute(job)
    assert table(tmp_path / "run")[0]["skipped_steps"] == "2"  # of the warm-up's two and six steps
    assert float(table(tmp_path / "run")[0]["loss"]) > 0
    assert any("2 steps skipped (loss or gradient not finite)" in line for line in log_lines(tmp_path / "run"))
    bad = 3
    job = plan(tone_dataset, tmp_path / "diverged", "training.epochs=1", "training.max_skipped=3")
    with pytest.raises(DivergedError, match=r"epoch 1, step \d.*lower optimizer.learning_rate \(0.00\d+\)"):
        execute(job)
    assert events(tmp_path / "diverged")[-1]["metadata"]["status"] == "aborted"


def custom(dataset: Path, path: Path, **changes: Any) -> Path:
    """A training manifest whose first utterance is changed."""
    first, *others = read_manifest(dataset / "manifests" / "train.csv")
    write_manifest(path, [dataclasses.replace(first, **changes), *others])
    return path


def test_an_utterance_too_short_for_its_text_is_left_out_and_named(tone_dataset: Path, tmp_path: Path) -> None:
    manifest = custom(tone_dataset, tmp_path / "long.csv", transcript="BEE " * 60 + "BEE", id="9-9-0001")
    execute(plan(tone_dataset, tmp_path / "run", "training.epochs=1", train_manifest=manifest))
    lines = [line for line in log_lines(tmp_path / "run") if line.startswith("left out")]
    assert lines == ["left out, too short for their transcripts: 1 utterances: 9-9-0001"]


def test_utterances_longer_than_a_bound_are_left_out_and_named(tone_dataset: Path, tmp_path: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    bound = sorted({each.seconds for each in utterances})[-3]
    execute(plan(tone_dataset, tmp_path / "run", "training.epochs=1", f"data.longest_seconds={bound}"))
    (line,) = [line for line in log_lines(tmp_path / "run") if line.startswith("left out")]
    assert line.startswith(f"left out, longer than {bound:g} s: ")
    longer = {each.id for each in utterances if each.seconds > bound}
    assert longer and set(line.partition("utterances: ")[2].split()) == longer
    logged, kept = events(tmp_path / "run"), 24 - len(longer)
    values = {event["key"]: event["value"] for event in logged}
    assert (values["data_train_max_duration"], values["train_samples"]) == (bound, kept)
    counts = {event["key"]: event["metadata"].get("samples_count") for event in logged}
    assert (counts["epoch_start"], counts["epoch_stop"], counts["eval_accuracy"]) == (0, kept, kept)


def test_a_recording_found_damaged_inside_the_clock_aborts_the_run(tone_dataset: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.wav"
    damaged.write_bytes(read_manifest(tone_dataset / "manifests" / "train.csv")[0].audio.read_bytes()[:900])
    job = plan(tone_dataset, tmp_path / "run", train_manifest=custom(tone_dataset, tmp_path / "bad.csv", audio=damaged))
    with pytest.raises(InputError, match=r"damaged\.wav"):
        execute(job)
    assert events(tmp_path / "run")[-1]["metadata"]["status"] == "aborted"
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_a_manifest_that_lost_a_row_is_not_trained_on(tone_dataset: Path, tmp_path: Path) -> None:
    job = dataclasses.replace(plan(tone_dataset, tmp_path / "run"), train_utterances=25)
    with pytest.raises(InputError, match=r"train\.csv: 24 utterances where counts\.json says 25"):
        execute(job)


def test_the_page_cache_is_dropped_or_the_log_says_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError

    monkeypatch.setattr(Path, "write_text", refuse)
    assert run.drop_caches() is False


def test_output_goes_to_both_at_once(tmp_path: Path) -> None:
    console = io.StringIO()
    output = Output(console, tmp_path / "log")
    print("line", file=output)
    assert console.getvalue() == (tmp_path / "log").read_text() == "line\n"
    output.close()
