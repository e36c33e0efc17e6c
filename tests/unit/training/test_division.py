"""A closed run has its preset's parameters and a verified dataset; every other one is open, said before it runs."""

import subprocess
from pathlib import Path

import pytest

import params
from speech_recognition import cli, settings
from speech_recognition.commands import REFERENCES
from speech_recognition.corpus import checksum
from speech_recognition.corpus.counts import Counts, SplitCounts, write_counts
from speech_recognition.corpus.stamp import Verified, verify_and_stamp
from speech_recognition.errors import InputError, VerificationError
from speech_recognition.mlperf.benchmarks import benchmarks
from speech_recognition.training import division

DIGEST = "12" * 32


@pytest.fixture
def claimed() -> Counts:
    """Counts of a dataset that claims to be the embedded one."""
    sizes = {key: benchmarks()["deepspeech2_mini"].lines[key]["equals"] for key in ("train_samples", "eval_samples")}
    train, val = (SplitCounts(size, 2.0 * size, 4.0) for size in sizes.values())
    return Counts("mini", train, val, val)


@pytest.fixture
def data_dir(claimed: Counts, tmp_path: Path) -> Path:
    write_counts(tmp_path / "data", claimed)
    return tmp_path / "data"


def decide(data_dir: Path, *assignments: str, preset: str = "mini", **facts: bool) -> tuple[str, Verified | None]:
    chosen = settings.apply(settings.preset(preset), ["model.precision=fp32", *assignments])  # auto is replaced before
    decided, verified = division.decide(chosen, data_dir, REFERENCES, **facts)
    return decided.submission.division, verified


@pytest.fixture
def verification(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that would be run, each of which succeeds."""
    commands: list[tuple[str, ...]] = []
    monkeypatch.setattr(division, "run_command", lambda *words, **_: commands.append(words))
    return commands


@pytest.mark.parametrize(
    "assignment",
    [
        "data.batch_size=32",
        "optimizer.learning_rate=0.01",
        "optimizer.warmup_fraction=0.2",
        "model.precision=bf16",
        "augmentation.pictures=3",
        "training.epochs=5",
        "data.workers=1",
    ],
)
def test_the_closed_division_leaves_some_things_free(
    data_dir: Path, verification: list[object], capsys: pytest.CaptureFixture[str], assignment: str
) -> None:
    assert decide(data_dir, assignment)[0] == "closed"
    assert capsys.readouterr().err == f"verifying {data_dir} before the run\n"


@pytest.mark.parametrize(
    "reason",
    [
        "model.rnn_units=8",
        "features.mel_bands=80",
        "augmentation.time_masks=2",
        "data.longest_seconds=9.0",
        "data.batch_seconds=60.0",
        "training.target_wer=50.0",
        "training.epochs=20 (epochs of opt_learning_rate_decay_schedule must be from 1 to 10)",
        "optimizer.learning_rate=5.0 (opt_base_learning_rate must be from 0.0005 to 0.012)",
        "optimizer.clip_norm=1.0 (opt_gradient_clip_norm must be 5.0)",
    ],
)
def test_what_the_preset_does_not_have_is_told_before_the_clock(
    data_dir: Path, verification: list[object], capsys: pytest.CaptureFixture[str], reason: str
) -> None:
    assignment = reason.partition(" ")[0]
    assert decide(data_dir, assignment, "submission.division=closed") == ("open", None)
    assert capsys.readouterr().err == f"note: this run is of the open division: {reason}\n"
    assert verification == []


def test_manifests_of_ones_own_are_open(
    data_dir: Path, verification: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert decide(data_dir, own_manifests=True) == ("open", None)
    assert capsys.readouterr().err == "note: this run is of the open division: manifests of your own\n"


def test_a_machine_that_keeps_its_page_cache_is_open(
    data_dir: Path, verification: list[object], capsys: pytest.CaptureFixture[str]
) -> None:
    assert decide(data_dir, "training.epochs=20", drops_caches=False) == ("open", None)
    note = capsys.readouterr().err
    assert "training.epochs=20" in note and note.endswith("; the page cache cannot be dropped (only root may)\n")
    assert decide(data_dir, "submission.division=open", drops_caches=False) == ("open", None)
    assert capsys.readouterr().err == "", "asked for"


def test_a_dataset_of_a_different_size_is_open(
    claimed: Counts, verification: list[object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_counts(tmp_path / "data", Counts("mini", claimed.val, claimed.val, claimed.test))
    assert decide(tmp_path / "data") == ("open", None)
    assert f"division: train_samples={claimed.val.utterances} (must be {claimed.train.utterances})\n" in (
        capsys.readouterr().err
    )
    assert verification == []


def test_a_dataset_that_is_not_the_presets_is_open(tone_dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert decide(tone_dataset) == ("open", None)
    assert f"open division: the dataset 'custom' in {tone_dataset}, not 'mini'" in capsys.readouterr().err
    assert decide(tone_dataset, preset="reference") == ("open", None)
    assert "not 'all'" in capsys.readouterr().err


@pytest.mark.parametrize("preset", ["mlperf_2018", "tensorflow", "original_paper", "aggressive_lr"])
def test_other_presets_are_open_from_the_start(preset: str, data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert decide(data_dir, preset=preset) == ("open", None)
    assert capsys.readouterr().err == ""
    assert decide(data_dir, "submission.division=closed", preset=preset) == ("open", None)
    assert f"open division: the preset {preset}, not reference\n" in capsys.readouterr().err


def test_a_dataset_that_only_claims_to_be_the_embedded_one_stops_the_run(
    claimed: Counts,
    tone_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """By `--set data.dataset`, which has nothing made and so nothing replaced; the real `verify` runs."""
    data = tmp_path / "easy"
    write_counts(data, claimed)
    for name in ("train", "val"):
        (data / "manifests" / f"{name}.csv").write_bytes((tone_dataset / "manifests" / f"{name}.csv").read_bytes())
    monkeypatch.setenv("PYTHONPATH", str(REFERENCES.parent))
    with pytest.raises(VerificationError, match=r"verify mini --data-dir .*easy: failed"):
        decide(data, f"data.dataset={data}")
    shown = capfd.readouterr().err.splitlines()
    assert "WARNING: Dataset Checksum Failed." in shown and shown[-1].startswith("... and 3")
    assert len(shown) < 20


def test_the_same_through_the_command_line_exits_with_1(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise VerificationError("verify mini: failed, see the lines above")

    monkeypatch.setattr(division, "run_command", fail)
    arguments = ["train", "--preset", "mini", "--data-dir", str(data_dir), "--output-dir", str(tmp_path / "run")]
    assert cli.main(arguments) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "error: verify mini: failed, see the lines above"
    assert not (tmp_path / "run").exists()


def test_a_stamp_spares_the_verification(
    data_dir: Path, tmp_path: Path, verification: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    (data_dir / "a.wav").write_text("audio")
    checksum.write_reference(data_dir, tmp_path / "pinned", "mini")
    reference = checksum.read_reference(tmp_path / "pinned", "mini", "pinned")
    assert verify_and_stamp(data_dir, reference) == []
    expected = Verified(dataset="mini", sha256=reference.sha256)
    assert division.decide(params.mini(), data_dir, tmp_path / "pinned")[1] == expected
    assert verification == []
    (data_dir / "a.wav").write_text("other")
    assert division.decide(params.mini(), data_dir, tmp_path / "pinned")[1] == expected
    assert verification == [("verify", "mini", "--data-dir", str(data_dir))]


def test_librispeech_without_a_record_is_refused(data_dir: Path, claimed: Counts) -> None:
    train, val = SplitCounts(281_241, 1e6, 24.5), SplitCounts(5_567, 1e4, 35.2)
    write_counts(data_dir, Counts("all", train, val, claimed.test))
    with pytest.raises(InputError, match="no checksum of 'all' is pinned, and none was recorded"):
        decide(data_dir, preset="reference")


@pytest.mark.parametrize(("status", "error"), [(1, VerificationError), (2, SystemExit), (-15, SystemExit)])
def test_a_command_that_fails_ends_the_program(
    status: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.run", lambda *_, **__: subprocess.CompletedProcess([], status, stdout=""))
    with pytest.raises(error) as raised:
        division.run_command("verify", "mini", advice="; make it again")
    assert error is SystemExit or str(raised.value).endswith("the run has not begun; make it again")
    if isinstance(raised.value, SystemExit):
        assert raised.value.code == (2 if status == 2 else 143)
