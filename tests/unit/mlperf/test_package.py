"""Tests of packaging a series of runs as a submission."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

import params
from speech_recognition import settings
from speech_recognition.cli import main
from speech_recognition.commands import ROOT
from speech_recognition.errors import InputError
from speech_recognition.mlperf import package_checks, system
from speech_recognition.mlperf.package import make_package

MINI_SHA256 = json.loads((ROOT / "reference_checksums" / "mini.json").read_text())["sha256"]
WERS = (99.0, 53.2, 20.0)


@pytest.fixture
def runs(good_log: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the results of ten runs of `mini` with different seeds, from the same clean checkout as this."""
    for module in (system, package_checks):
        monkeypatch.setattr(module, "software_notes", lambda: "benchmark at commit 1234")
    folder = tmp_path / "runs"
    (folder / "run_0").mkdir(parents=True)
    (folder / "run_0" / "params.json").write_text(json.dumps(settings.to_dict(params.mini())))
    submission = vars(params.mini().submission)
    (folder / "run_0" / "system.json").write_text(
        json.dumps(system.describe(submission, nodes=1, gpus=0, storage=tmp_path))
    )
    for number in range(10):
        (folder / f"result_{number}.txt").write_text(
            "\n".join(good_log(wers=WERS).edited("seed", value=100 + number)) + "\n"
        )
    return folder


def verdicts(runs: Path, tmp_path: Path) -> dict[str, tuple[str, ...]]:
    """Return the findings of each failed check, by its name."""
    checks = make_package(runs, tmp_path / "out", ROOT, None)
    return {check.name: check.findings for check in checks if check.failed}


def test_a_good_series_passes_every_check(runs: Path, tmp_path: Path) -> None:
    assert verdicts(runs, tmp_path) == {}
    org = tmp_path / "out" / "reference_implementation"
    logs = org / "results" / "reference_platform" / "deepspeech2_mini"
    assert sorted(path.name for path in logs.iterdir()) == [f"result_{number}.txt" for number in range(10)]
    assert (logs / "result_3.txt").read_bytes() == (runs / "result_3.txt").read_bytes()
    system = json.loads((org / "systems" / "reference_platform.json").read_text())
    assert (system["submitter"], system["system_name"]) == ("reference_implementation", "reference_platform")
    implementation = org / "benchmarks" / "deepspeech2_mini" / "implementations" / "speech_recognition"
    assert (implementation / "params.py").read_bytes() == (ROOT / "params.py").read_bytes()
    own = org / "benchmarks" / "deepspeech2_mini" / "reference_platform"
    assert "run_and_time.sh mini --runs 10" in (own / "run_and_time.sh").read_text()
    assert f"SHA-256 of its tar stream `{MINI_SHA256}`" in (own / "README.md").read_text()
    assert {"README.md", "setup.sh", "init_datasets.sh"} <= {path.name for path in own.iterdir()}
    page = (org / "CHECKS.md").read_text()
    assert page.count("| passed |") == 16 and "FAILED" not in page


def test_runs_on_different_data_are_no_series(runs: Path, good_log: Any, tmp_path: Path) -> None:
    other = good_log(wers=WERS).edited("seed", value=109).edited("dataset_checksum", value="0" * 64)
    (runs / "result_9.txt").write_text("\n".join(other) + "\n")
    with pytest.raises(InputError, match="the runs used different datasets"):
        make_package(runs, tmp_path / "out", ROOT, None)


def test_a_run_that_missed_its_target_is_found(runs: Path, good_log: Any, tmp_path: Path) -> None:
    (runs / "result_4.txt").write_text("\n".join(good_log(wers=(53.2, 31.0)).edited("seed", value=104)) + "\n")
    found = verdicts(runs, tmp_path)
    assert list(found) == ["result_4.txt (compliance_checker)"]
    page = (tmp_path / "out" / "reference_implementation" / "CHECKS.md").read_text()
    assert "| result_4.txt (compliance_checker) | FAILED |" in page and "## result_4.txt" in page


def test_runs_that_converge_too_fast_are_found(runs: Path, good_log: Any, tmp_path: Path) -> None:
    for number in range(2, 10):
        lines = good_log(wers=(53.2, 20.0)).edited("seed", value=100 + number)
        (runs / f"result_{number}.txt").write_text("\n".join(lines) + "\n")
    (finding,) = verdicts(runs, tmp_path)["convergence (rcp_checker)"]
    assert finding == "RCP found. Submission mean epochs: 2.1250"


def test_a_benchmark_without_reference_points_is_said_to_be_unchecked(
    runs: Path, good_log: Any, tmp_path: Path
) -> None:
    (runs / "run_0" / "params.json").write_text(json.dumps(settings.to_dict(params.reference())))
    for number in range(10):
        lines = good_log("reference", wers=WERS).edited("seed", value=100 + number)
        (runs / f"result_{number}.txt").write_text("\n".join(lines) + "\n")
    assert verdicts(runs, tmp_path) == {}
    page = (tmp_path / "out" / "reference_implementation" / "CHECKS.md").read_text()
    assert "| convergence (rcp_checker) | not checked: deepspeech2 has no reference convergence points |" in page


def test_a_system_that_lacks_a_field_is_found(runs: Path, tmp_path: Path) -> None:
    path = runs / "run_0" / "system.json"
    description = json.loads(path.read_text())
    del description["host_memory_capacity"]
    path.write_text(json.dumps(description))
    findings = verdicts(runs, tmp_path)["system description (system_desc_checker)"]
    assert any("host_memory_capacity" in finding for finding in findings)


def test_a_description_that_contradicts_the_logs_is_found(runs: Path, tmp_path: Path) -> None:
    completion = tmp_path / "more.json"
    completion.write_text(json.dumps({"system_name": "another", "cooling": "air"}))
    checks = make_package(runs, tmp_path / "out", ROOT, completion)
    assert [check.findings for check in checks if check.failed] == [
        ("system_name is 'another', but 'reference_platform' in the logs",)
    ]


def test_other_code_than_that_which_ran_is_found(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, now in enumerate(("benchmark at commit 5678", "benchmark at commit 1234-dirty")):
        monkeypatch.setattr(package_checks, "software_notes", lambda now=now: now)
        (finding,) = verdicts(runs, tmp_path / str(number))["code (commit of the runs)"]
        assert finding.startswith(f"the runs: benchmark at commit 1234; packaged: {now}; package from a clean")


def test_the_packaged_command_makes_the_same_runs(runs: Path, tmp_path: Path) -> None:
    chosen = settings.apply(params.mini(), ["data.batch_size=32", "training.evaluate_first=true"])
    (runs / "run_0" / "params.json").write_text(json.dumps(settings.to_dict(chosen)))
    make_package(runs, tmp_path / "out", ROOT, None)
    (script,) = (tmp_path / "out").rglob("reference_platform/run_and_time.sh")
    words = shlex.split(script.read_text().replace("\\\n", ""), comments=True)
    assert words[words.index("mini") + 1 :] == [
        "--runs", "10", "--set", "data.batch_size=32", "--set", "training.evaluate_first=true"
    ]  # fmt: skip


def test_a_series_without_its_first_run_is_refused(runs: Path, tmp_path: Path) -> None:
    (runs / "run_0" / "params.json").unlink()
    with pytest.raises(InputError, match=r"params\.json: No such file"):
        make_package(runs, tmp_path / "out", ROOT, None)


def test_a_seed_used_twice_is_found(runs: Path, tmp_path: Path) -> None:
    (runs / "result_7.txt").write_bytes((runs / "result_2.txt").read_bytes())
    (finding,) = verdicts(runs, tmp_path)["seeds (SeedChecker)"]
    assert "result_7.txt" in finding and "already logs the same seed" in finding


def test_too_few_runs_are_found(runs: Path, tmp_path: Path) -> None:
    (runs / "result_9.txt").unlink()
    assert verdicts(runs, tmp_path) == {"number of result files (10)": ("9 result files; a submission has 10",)}


def test_a_file_that_git_does_not_like_is_found(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from speech_recognition.mlperf import package

    def copy(_: Path, target: Path) -> None:
        target.mkdir(parents=True)
        (target / "my notes.txt").touch()

    monkeypatch.setattr(package, "_copy_source", copy)
    findings = verdicts(runs, tmp_path)["files (repo_checker)"]
    assert "my notes.txt" in findings[0]


def test_logs_that_disagree_on_the_submitter_are_refused(runs: Path, good_log: Any, tmp_path: Path) -> None:
    (runs / "result_5.txt").write_text("\n".join(good_log().edited("submission_org", value="others")) + "\n")
    with pytest.raises(
        InputError, match=r"result_5\.txt: submission_org is others, but reference_implementation in result_0\.txt"
    ):
        make_package(runs, tmp_path / "out", ROOT, None)
    assert not (tmp_path / "out").exists()


def test_a_name_that_is_no_folder_is_refused(runs: Path, good_log: Any, tmp_path: Path) -> None:
    for path in runs.glob("result_*.txt"):
        path.write_text("\n".join(good_log().edited("submission_org", value="../up")) + "\n")
    with pytest.raises(InputError, match=r"submission\.org=\.\./up: must be a name for a folder"):
        make_package(runs, tmp_path / "out", ROOT, None)


def test_a_folder_without_results_and_a_second_submission_are_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["package", str(runs), "--output-dir", str(tmp_path / "out")]
    assert main(["package", str(tmp_path), "--output-dir", str(tmp_path / "out")]) == 2
    assert "no result_0.txt" in capsys.readouterr().err
    assert main(arguments) == 0
    assert "system description (system_desc_checker): passed" in capsys.readouterr().out
    assert main(arguments) == 2
    assert "has a submission of reference_implementation already" in capsys.readouterr().err


def test_a_result_that_ended_before_it_said_who_it_is_is_named(runs: Path, tmp_path: Path) -> None:
    path = runs / "result_1.txt"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "submission_platform" not in line))
    with pytest.raises(InputError, match=r"result_1\.txt: no submission_platform"):
        make_package(runs, tmp_path / "out", ROOT, None)
