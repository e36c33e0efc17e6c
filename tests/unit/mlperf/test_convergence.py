"""Tests of reference convergence points."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.cli import main
from speech_recognition.errors import InputError
from speech_recognition.mlperf.convergence import (
    check_convergence,
    check_runs,
    closed_faults,
    named_benchmark,
    points_table,
    record,
    reference_points,
)
from tests.unit.mlperf.conftest import MINI

ABOUT = {"Creator": "us", "When": "today", "Platform": "box", "Precision": "fp32", "Hyperparams": {}}


@pytest.fixture
def series(good_log: Any, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that makes results of runs with given numbers of epochs; 0 is a run that missed its target."""

    def make(name: str, epochs: Sequence[int], batch_size: int = 16, preset: str = "mini", **edits: object) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        edits |= {"global_batch_size": batch_size, "micro_batch_size": batch_size}
        for number, count in enumerate(epochs):
            wers = [*[50.0] * (count - 1), 20.0] if count else [50.0, 40.0]
            lines = good_log(preset, wers=wers).edited("seed", value=number)
            for key, value in edits.items():
                lines = lines.edited(key, value=value)
            if not count:
                lines = lines.edited("run_stop", metadata={"status": "aborted"})
            (folder / f"result_{number}.txt").write_text("\n".join(lines) + "\n")
        return folder

    return make


@pytest.fixture
def points(series: Callable[..., Path], tmp_path: Path) -> Path:
    """Return points with a mean of 4.5 epochs at batch size 16 and of 6.5 at 64."""
    entries = {
        f"ref_{size}": record(sorted(series(f"at_{size}", epochs, size).glob("*")), ABOUT)
        for size, epochs in ((16, [4, 5] * 10), (64, [6, 7] * 10))
    }
    path = tmp_path / "points.json"
    path.write_text(json.dumps(entries))
    return path


def test_the_points_are_in_the_official_form(points: Path) -> None:
    entry = json.loads(points.read_text())["ref_64"]
    assert entry == {
        "Benchmark": "deepspeech2_mini", **ABOUT, "BS": 64, "Epochs to converge": [6] * 10 + [7] * 10,
        "samples to converge": [6 * MINI[0]] * 10 + [7 * MINI[0]] * 10,
    }  # fmt: skip


def test_runs_like_the_reference_pass(series: Callable[..., Path], points: Path) -> None:
    verdict = check_convergence(series("mine", [4, 5] * 5), points)
    assert verdict.passed and verdict.normalization == 1 and verdict.message.startswith("RCP found")


def test_logs_of_any_name_are_compared(series: Callable[..., Path], points: Path) -> None:
    results = list(series("mine", [4, 5] * 2).glob("*"))
    logs = [path.rename(path.with_name(f"[{number}].out")) for number, path in enumerate(results)]
    verdict = check_runs(logs, points)
    assert verdict.passed and verdict.message == "RCP found. Submission mean epochs: 4.5000"
    assert sorted(path.name for path in logs[0].parent.iterdir()) == [f"[{number}].out" for number in range(4)]


def test_runs_that_converge_too_fast_are_refused(series: Callable[..., Path], points: Path) -> None:
    verdict = check_convergence(series("planted", [3] * 10), points)
    assert not verdict.passed and "mean epochs: 3.0000" in verdict.message


def test_somewhat_faster_runs_pass_and_their_score_is_scaled(series: Callable[..., Path], points: Path) -> None:
    verdict = check_convergence(series("lucky", [4] * 6 + [5] * 4), points)
    assert verdict.passed and verdict.normalization == pytest.approx(4.5 / 4.375)


def test_between_two_batch_sizes_the_reference_is_interpolated(series: Callable[..., Path], points: Path) -> None:
    assert check_convergence(series("slow", [6] * 10, 40), points).passed
    fast = check_convergence(series("fast", [4] * 10, 40), points)
    assert not fast.passed and fast.message.startswith("RCP Interpolation")


def test_a_larger_batch_than_the_references_has_to_bring_points_of_its_own(
    series: Callable[..., Path], points: Path
) -> None:
    verdict = check_convergence(series("large", [9] * 10, 128), points)
    assert not verdict.passed and "please submit RCP with BS = 128" in verdict.message


@pytest.mark.parametrize(("epochs", "message"), [
    ([0, 0, 5, 5, 5], "more than one run did not reach the target"),
    ([4, 5], "2 result files"),
])  # fmt: skip
def test_too_few_runs_that_converge_are_refused(
    series: Callable[..., Path], points: Path, epochs: list[int], message: str
) -> None:
    verdict = check_convergence(series("mine", epochs), points)
    assert not verdict.passed and message in verdict.message


def test_one_run_that_missed_its_target_is_left_out(series: Callable[..., Path], points: Path) -> None:
    assert check_convergence(series("mine", [0, *[4, 5] * 4, 5]), points).passed


def test_runs_of_two_batch_sizes_are_refused(series: Callable[..., Path], points: Path) -> None:
    folder = series("mine", [4] * 5)
    (series("other", [4], 32) / "result_0.txt").rename(folder / "result_5.txt")
    verdict = check_convergence(folder, points)
    assert not verdict.passed and "differs between the files" in verdict.message


def test_a_reference_takes_twice_the_runs_all_of_which_converge(series: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="19 runs; a reference needs 20"):
        record(sorted(series("few", [4] * 19).glob("*")), ABOUT)
    with pytest.raises(InputError, match="missed its target"):
        record(sorted(series("missed", [0, *[4] * 19]).glob("*")), ABOUT)


def test_the_table_tells_what_is_accepted(points: Path) -> None:
    lines = points_table(points).splitlines()
    assert lines[2].startswith("| 16 | 20 | 4.50 | 0.50 | 4.1")
    assert lines[3].startswith("| 64 | 20 | 6.50 | 0.50 | 6.1")


def test_the_command_refuses_with_1_and_names_a_bad_file(
    series: Callable[..., Path], points: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, fast = series("good", [5] * 10), series("fast", [2] * 10)
    assert main(["check-rcp", str(good), "--points", str(points)]) == 0
    assert "SUCCESS: RCP found. Submission mean epochs: 5.0000" in capsys.readouterr().out
    assert main(["check-rcp", str(fast), "--points", str(points)]) == 1
    assert "REFUSED: RCP found. Submission mean epochs: 2.0000" in capsys.readouterr().out
    (tmp_path / "bad.json").write_text("{")
    assert main(["check-rcp", str(good), "--points", str(tmp_path / "bad.json")]) == 2
    assert "bad.json: cannot be read" in capsys.readouterr().err
    for content in ("[]", "{}", '{"a": {"Benchmark": "deepspeech2", "BS": 16, "Epochs to converge": []}}'):
        (tmp_path / "bad.json").write_text(content)
        assert main(["check-rcp", str(good), "--points", str(tmp_path / "bad.json")]) == 2
        assert "bad.json: cannot be read" in capsys.readouterr().err
    assert main(["check-rcp", str(tmp_path / "gone"), "--points", str(points)]) == 2
    assert "gone: no result_0.txt" in capsys.readouterr().err
    (good / "result_3.txt").write_text(':::MLLOG {"key": "run_stop"\n')
    assert main(["check-rcp", str(good), "--points", str(points)]) == 2
    assert "result_3.txt, line 1: not an MLLOG line of a run" in capsys.readouterr().err


def test_the_points_are_those_of_the_benchmark_that_the_logs_name(
    series: Callable[..., Path], points: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mini, large = series("mini", [4] * 5), series("large", [5] * 5, 128, "reference")
    assert main(["check-rcp", str(mini)]) in (0, 1)
    assert points_table(reference_points("deepspeech2_mini")) in capsys.readouterr().out
    assert main(["check-rcp", str(large)]) == 2
    assert "large: deepspeech2 has no reference convergence points; give a file" in capsys.readouterr().err
    assert main(["check-rcp", str(large), "--points", str(points)]) == 2
    assert "points.json: reference convergence points of deepspeech2_mini; " in capsys.readouterr().err
    (large / "result_3.txt").write_bytes((mini / "result_3.txt").read_bytes())
    assert main(["check-rcp", str(large)]) == 2
    assert "result_3.txt: submission_benchmark is 'deepspeech2_mini', must be deepspeech2;" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("preset", "edits", "finding"),
    [
        ("tensorflow", {"submission_benchmark": "deepspeech2_mini"}, "data_order: must be batch_shuffle"),
        ("reference", {"submission_benchmark": "deepspeech2_mini"}, f"train_samples: must be {MINI[0]}"),
        ("mini", {"opt_base_learning_rate": 1.0}, "opt_base_learning_rate: must be from 0.0005 to 0.012"),
        ("mini", {"submission_division": "open"}, "submission_division: the log is of a different division"),
    ],
)
@pytest.mark.usefixtures("rules_read_once")
def test_runs_that_are_not_closed_are_not_compared(
    preset: str, edits: dict[str, object], finding: str, series: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = series("planted", [5] * 3, 16, preset, **edits)
    assert main(["check-rcp", str(folder)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("result_2.txt: line ") and finding in line for line in lines)
    assert lines[-1].startswith("REFUSED: only runs that pass the closed rules are compared; violations: ")


@pytest.mark.usefixtures("rules_read_once")
def test_a_run_that_only_missed_its_target_is_of_the_closed_division(series: Callable[..., Path]) -> None:
    assert closed_faults(sorted(series("mine", [0, 4]).glob("*"))) == []


@pytest.mark.parametrize("name", ["rnnt", None, ["deepspeech2"], "../points/deepspeech2_mini"])
def test_a_log_of_no_benchmark_is_named(name: object, series: Callable[..., Path]) -> None:
    results = sorted(series("mine", [4] * 3, submission_benchmark=name).glob("*"))
    with pytest.raises(
        InputError, match=r"result_0\.txt: submission_benchmark is .*, must be deepspeech2 or deepspeech2_small or"
    ):
        named_benchmark(results)


def test_mini_has_points_at_two_batch_sizes() -> None:
    points = reference_points("deepspeech2_mini")
    assert points is not None and reference_points("deepspeech2") is reference_points("../x") is None
    entries = json.loads(points.read_text()).values()
    assert len({entry["BS"] for entry in entries}) >= 2
    assert all(len(entry["Epochs to converge"]) >= 20 for entry in entries)
