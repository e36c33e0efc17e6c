"""Tests of packaging a series of runs as a submission; test_package_checks.py has those of the checks."""

import dataclasses
import json
import shlex
import shutil
from pathlib import Path

import pytest
from mlperf_logging.result_summarizer import result_summarizer

import params
from speech_recognition import settings
from speech_recognition.cli import main
from speech_recognition.commands import ROOT
from speech_recognition.errors import InputError
from speech_recognition.mlperf import package_checks, score
from speech_recognition.mlperf.package import Package, make_package
from speech_recognition.runs.series_folder import SeriesFolder
from tests.unit.mlperf.conftest import MINI_SHA256
from tests.unit.mlperf.runs import (
    MINI,
    complete_description,
    ten_logs,
    timed_log,
    write_log,
    write_params,
    write_points,
)

pytestmark = pytest.mark.usefixtures("rules_read_once")


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the results of ten runs of `mini` with different seeds, from the same clean checkout as this."""
    monkeypatch.setattr(package_checks, "software_notes", lambda: "benchmark at commit 1234")
    points = write_points(tmp_path / "points.json")
    monkeypatch.setattr(score, "reference_points", lambda _: points)
    series = SeriesFolder(tmp_path / "runs")
    for number, lines in enumerate(ten_logs()):
        write_log(series.result(number), lines)
        write_params(series, number, params.mini())
    described = complete_description(tmp_path) | {"sw_notes": "benchmark at commit 1234"}
    series.run(0).system.write_text(json.dumps(described))
    return series.path


def packaged(runs: Path) -> Package:
    return make_package(runs, runs.parent / "out", ROOT, None)


def failed(package: Package) -> list[str]:
    return [check.name for check in package.checks if check.failed]


def test_a_good_series_becomes_a_submission_that_passes_every_check(runs: Path, tmp_path: Path) -> None:
    package = packaged(runs)
    assert failed(package) == []
    org = tmp_path / "out" / "reference_implementation"
    assert package.folder == org
    logs = org / "results" / "reference_platform" / MINI
    assert sorted(path.name for path in logs.iterdir()) == [f"result_{number}.txt" for number in range(10)]
    assert (logs / "result_3.txt").read_bytes() == (runs / "result_3.txt").read_bytes()
    system = json.loads((org / "systems" / "reference_platform.json").read_text())
    assert (system["submitter"], system["system_name"]) == ("reference_implementation", "reference_platform")
    implementations = org / "benchmarks" / MINI / "implementations"
    assert sorted(path.name for path in implementations.iterdir()) == ["reference_platform", "speech_recognition"]
    assert (implementations / "speech_recognition" / "params.py").read_bytes() == (ROOT / "params.py").read_bytes()
    own = implementations / "reference_platform"
    assert "run_and_time.sh mini --runs 10" in (own / "run_and_time.sh").read_text()
    assert f"SHA-256 of its tar stream `{MINI_SHA256}`" in (own / "README.md").read_text()
    assert {"README.md", "setup.sh", "init_datasets.sh", "run_and_time.sh"} <= {path.name for path in own.iterdir()}
    assert "sh download_dataset.sh mini --data-dir mini_dataset\n" in (own / "init_datasets.sh").read_text()
    page = (org / "CHECKS.md").read_text()
    assert page.count("| passed |") == len(package.checks) and "FAILED" not in page
    assert "- score: 5.50 minutes" in page


def test_the_parameters_of_each_run_and_of_the_system_are_submitted(runs: Path) -> None:
    own = packaged(runs).folder / "benchmarks" / MINI / "implementations" / "reference_platform"
    for path in (*own.glob("run_*/params.json"), own / "reference_platform_speech_recognition.json"):
        assert settings.read_params(path) == params.mini()
    assert len(list(own.glob("run_*/params.json"))) == 10


def test_the_paths_in_the_systems_readme_exist(runs: Path) -> None:
    own = packaged(runs).folder / "benchmarks" / MINI / "implementations" / "reference_platform"
    text = (own / "README.md").read_text()
    for name in ("../speech_recognition", "../../../../systems/reference_platform.json"):
        assert f"`{name}`" in text and (own / name).exists()
    for name in ("init_datasets.sh", "run_and_time.sh"):
        assert f"`sh ../reference_platform/{name}`" in text
        assert (own.parent / "speech_recognition" / ".." / "reference_platform" / name).is_file()


def test_runs_faster_than_the_reference_have_a_scaling_file_that_the_official_summariser_reads(runs: Path) -> None:
    for number, lines in enumerate(ten_logs(epochs=4)):
        write_log(runs / f"result_{number}.txt", lines)
    package = packaged(runs)
    assert failed(package) == []
    logs = package.folder / "results" / "reference_platform" / MINI
    assert json.loads((logs / "scaling.json").read_text()) == {"scaling_factor": package.score.factor}
    assert result_summarizer._get_scaling_factor(str(logs)) == package.score.factor == pytest.approx(4.5 / 4)
    assert "times 1.1250" in (package.folder / "CHECKS.md").read_text()


def test_a_fault_is_named_on_the_page_and_the_command_says_what_to_do(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(runs / "result_4.txt", timed_log(104, 5.0, epochs=5, reached=False))
    assert main(["package", str(runs), "--output-dir", str(tmp_path / "out")]) == 1
    out = capsys.readouterr().out
    assert "result_4.txt (compliance_checker): FAILED\n  line " in out
    folder = tmp_path / "out" / "reference_implementation"
    assert out.splitlines()[-1].startswith(f"FAILED: 1 of 17 checks of {folder}; correct what they name, remove that")
    page = (folder / "CHECKS.md").read_text()
    assert "| result_4.txt (compliance_checker) | FAILED |" in page and "## result_4.txt" in page


def test_a_file_completes_the_description(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    system = runs / "run_0" / "system.json"
    system.write_text(json.dumps(json.loads(system.read_text()) | {"cooling": ""}))
    more = tmp_path / "more.json"
    more.write_text(json.dumps({"cooling": "air"}))
    arguments = ["package", str(runs), "--output-dir", str(tmp_path / "out")]
    assert main(arguments) == 1
    assert "the machine does not tell cooling: put them in a JSON file" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "out" / "reference_implementation")
    assert main([*arguments, "--system", str(more)]) == 0


def test_runs_on_different_data_are_no_series(runs: Path) -> None:
    write_log(runs / "result_9.txt", timed_log(109, 10.0, epochs=5).edited("dataset_checksum", value="0" * 64))
    with pytest.raises(InputError, match="the runs used different datasets"):
        packaged(runs)


def test_the_packaged_command_makes_the_same_runs(runs: Path) -> None:
    chosen = settings.apply(params.mini(), ["data.batch_size=32", "training.evaluate_first=true"])
    write_params(SeriesFolder(runs), 0, chosen)
    (script,) = packaged(runs).folder.rglob("reference_platform/run_and_time.sh")
    words = shlex.split(script.read_text().replace("\\\n", ""), comments=True)
    assert words[words.index("mini") + 1 :] == [
        "--runs", "10", "--set", "data.batch_size=32", "--set", "training.evaluate_first=true"
    ]  # fmt: skip


def test_the_packaged_dataset_is_made_where_the_packaged_command_reads_it(runs: Path) -> None:
    write_params(SeriesFolder(runs), 0, settings.apply(params.mini(), ["data.dataset=large disk/mini"]))
    (folder,) = packaged(runs).folder.rglob("implementations/reference_platform")
    assert "--set 'data.dataset=large disk/mini'" in (folder / "run_and_time.sh").read_text()
    for command in ("sh download_dataset.sh", "exec sh verify_dataset.sh"):
        assert f"{command} mini --data-dir 'large disk/mini'\n" in (folder / "init_datasets.sh").read_text()


@pytest.mark.parametrize("number", [0, 7])
def test_a_series_without_the_parameters_of_a_run_is_refused(runs: Path, number: int) -> None:
    (runs / f"run_{number}" / "params.json").unlink()
    with pytest.raises(InputError, match=rf"run_{number}/params\.json: No such file"):
        packaged(runs)


def test_logs_that_disagree_on_the_submitter_are_refused(runs: Path, tmp_path: Path) -> None:
    write_log(runs / "result_5.txt", timed_log(105, 6.0, epochs=5).edited("submission_org", value="others"))
    with pytest.raises(
        InputError, match=r"result_5\.txt: submission_org is others, but reference_implementation in result_0\.txt"
    ):
        packaged(runs)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("org", "../up", r"submission\.org=\.\./up: must be a name for a folder"),
        (
            "platform",
            "speech_recognition",
            r"submission\.platform=speech_recognition: is the name of the code's folder",
        ),
    ],
)
def test_a_name_that_cannot_be_a_folder_of_its_own_is_refused(runs: Path, field: str, value: str, message: str) -> None:
    for number, lines in enumerate(ten_logs()):
        write_log(runs / f"result_{number}.txt", lines.edited(f"submission_{field}", value=value))
    with pytest.raises(InputError, match=message):
        packaged(runs)


def test_a_folder_without_results_and_a_second_submission_are_refused(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["package", str(runs), "--output-dir", str(tmp_path / "out")]
    assert main(["package", str(tmp_path), "--output-dir", str(tmp_path / "out")]) == 2
    assert "no result_0.txt" in capsys.readouterr().err
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "system description (system_desc_checker): passed" in out and "score: 5.50 minutes" in out
    assert f"SUCCESS: {tmp_path / 'out' / 'reference_implementation'} is a submission" in out
    assert main(arguments) == 2
    assert "has a submission of reference_implementation already" in capsys.readouterr().err


def test_a_result_that_ended_before_it_said_who_it_is_is_named(runs: Path) -> None:
    path = runs / "result_1.txt"
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "submission_platform" not in line))
    with pytest.raises(InputError, match=r"result_1\.txt: no submission_platform"):
        packaged(runs)


def test_an_open_submission_has_no_verdict_on_convergence(runs: Path) -> None:
    mini = params.mini()
    opened = dataclasses.replace(mini, submission=dataclasses.replace(mini.submission, division="open"))
    for number in range(10):
        write_log(runs / f"result_{number}.txt", timed_log(100 + number, 2.0, epochs=2, division="open"))
        write_params(SeriesFolder(runs), number, opened)
    system = runs / "run_0" / "system.json"
    system.write_text(json.dumps(json.loads(system.read_text()) | {"division": "open"}))
    package = packaged(runs)
    assert failed(package) == [] and package.score.convergence is None
    assert "| convergence (rcp_checker) | not checked: " in (package.folder / "CHECKS.md").read_text()
