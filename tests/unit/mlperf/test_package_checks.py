"""Tests of the checks of a submission: each on a good one with one fault."""

import json
from pathlib import Path

import pytest

import params
from speech_recognition import settings
from speech_recognition.mlperf import package_checks, score
from speech_recognition.mlperf.package_checks import Check, check_commit, check_package
from speech_recognition.mlperf.package_layout import Layout
from tests.unit.mlperf.runs import (
    MINI,
    SUBMISSION,
    complete_description,
    ten_logs,
    timed_log,
    write_log,
    write_params,
    write_points,
)

pytestmark = pytest.mark.usefixtures("rules_read_once")

CONVERGENCE, PARAMETERS = "convergence (rcp_checker)", "parameters (params.json of each run)"
SYSTEM, FILES = "system description (system_desc_checker)", "files (repo_checker)"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Return the layout of a good submission, without code and scripts, which no check reads."""
    points = write_points(tmp_path / "points.json")
    monkeypatch.setattr(score, "reference_points", lambda name: points if name == MINI else None)
    layout = Layout(tmp_path / "us", SUBMISSION.platform, MINI)
    for number, lines in enumerate(ten_logs()):
        write_log(layout.results.result(number), lines)
        write_params(layout.own, number, params.mini())
    layout.system.parent.mkdir()
    layout.system.write_text(json.dumps(complete_description(tmp_path)))
    return layout


def checks(package: Layout) -> list[Check]:
    results = package.results
    return check_package(package, vars(SUBMISSION), score.score(results.path, results.results()))


def found(package: Layout) -> dict[str, tuple[str, ...]]:
    """Return the findings of each failed check, by its name."""
    return {check.name: check.findings for check in checks(package) if check.failed}


def describe_system(package: Layout, **fields: str) -> None:
    package.system.write_text(json.dumps(json.loads(package.system.read_text()) | fields))


def test_a_good_submission_passes_every_check(package: Layout) -> None:
    assert {check.name: check.verdict for check in checks(package)} == dict.fromkeys(
        [
            "number of result files (10)",
            *(f"result_{number}.txt (compliance_checker)" for number in range(10)),
            "seeds (SeedChecker)",
            CONVERGENCE,
            PARAMETERS,
            SYSTEM,
            FILES,
        ],
        "passed",
    )


def test_too_few_runs_are_found(package: Layout) -> None:
    package.results.result(9).unlink()
    assert found(package) == {"number of result files (10)": ("9 result files; a submission has 10",)}


def test_a_log_that_breaks_a_rule_is_found_with_its_line(package: Layout) -> None:
    write_log(package.results.result(4), timed_log(104, 5.0, epochs=5, reached=False))
    ((name, (finding, *_)),) = found(package).items()
    assert name == "result_4.txt (compliance_checker)"
    assert finding.startswith("line ") and "run_stop" in finding


def test_a_seed_used_twice_is_found(package: Layout) -> None:
    write_log(package.results.result(7), timed_log(102, 8.0, epochs=5))
    (finding,) = found(package)["seeds (SeedChecker)"]
    assert "result_7.txt" in finding and "already logs the same seed" in finding


def test_a_seed_whose_place_is_no_key_is_found(package: Layout) -> None:
    write_log(package.results.result(0), timed_log(100, 1.0, epochs=5).edited("seed", metadata={"file": ["a"]}))
    assert found(package)["seeds (SeedChecker)"] == ("a seed's file or lineno in its metadata is a list or an object",)


def test_runs_that_converge_too_fast_are_found(package: Layout) -> None:
    for number, lines in enumerate(ten_logs(epochs=2)):
        write_log(package.results.result(number), lines)
    assert found(package) == {CONVERGENCE: ("RCP found. Submission mean epochs: 2.0000",)}


def test_convergence_without_reference_points_is_said_to_be_unchecked(
    package: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score, "reference_points", lambda _: None)
    (check,) = [check for check in checks(package) if check.name == CONVERGENCE]
    assert check.verdict == f"not checked: {MINI} has no reference convergence points" and not check.failed


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ("optimizer.learning_rate=0.001", "run_3: opt_base_learning_rate is {log} in result_3.txt, but 0.001 by"),
        ("optimizer.clip_norm=1", "run_3: opt_gradient_clip_norm is {log} in result_3.txt, but 1.0 by params.json"),
        ("training.epochs=9", "run_3: opt_learning_rate_decay_schedule of epochs is {log}.0 in result_3.txt, but 9 by"),
        ("submission.org=them", "run_3: submission_org is {log} in result_3.txt, but them by params.json"),
    ],
)
def test_parameters_that_contradict_the_log_are_found(package: Layout, change: str, finding: str) -> None:
    mini = params.mini()
    write_params(package.own, 3, settings.apply(mini, [change]))
    section, _, name = change.partition("=")[0].partition(".")
    logged = getattr(getattr(mini, section), name)
    findings = found(package)[PARAMETERS]
    assert any(each.startswith(finding.format(log=logged)) for each in findings), findings
    assert any(each.startswith(f"run_3: {section}.{name} is ") and "in run_0" in each for each in findings)


def test_an_augmentation_that_the_parameters_do_not_have_is_found(package: Layout) -> None:
    lines = timed_log(105, 6.0, epochs=5)
    place = next(index for index, key, _ in lines.records() if key == "data_order")
    added = lines[place].replace('"data_order"', '"data_spec_augment_freq_n"')
    write_log(package.results.result(5), [*lines[: place + 1], added, *lines[place + 1 :]])
    assert found(package)[PARAMETERS] == (
        "run_5: data_spec_augment_freq_n is in result_5.txt, but does not follow from params.json",
    )


def test_the_blank_fields_of_the_system_are_asked_for_by_name(package: Layout) -> None:
    describe_system(package, cooling="", host_storage_type=" ", hw_notes="")
    assert found(package) == {
        SYSTEM: (
            "the machine does not tell host_storage_type, cooling:"
            " put them in a JSON file and give it with --system FILE.json",
        )
    }


def test_a_field_that_the_official_checker_misses_is_found(package: Layout) -> None:
    described = json.loads(package.system.read_text())
    del described["host_processor_caches"]
    package.system.write_text(json.dumps(described))
    (finding,) = found(package)[SYSTEM]
    assert "Missing field host_processor_caches" in finding


def test_a_description_that_contradicts_the_logs_is_found(package: Layout) -> None:
    describe_system(package, system_name="another")
    assert found(package)[SYSTEM] == (f"system_name is 'another', but {SUBMISSION.platform!r} in the logs",)


def test_a_file_that_git_does_not_like_is_found(package: Layout) -> None:
    (package.own.path / "my notes.txt").touch()
    assert "my notes.txt" in found(package)[FILES][0]


@pytest.mark.parametrize("now", ["benchmark at commit 5678", "benchmark at commit 1234-dirty"])
def test_other_code_than_that_which_ran_is_found(monkeypatch: pytest.MonkeyPatch, now: str) -> None:
    monkeypatch.setattr(package_checks, "software_notes", lambda: now)
    (finding,) = check_commit({"sw_notes": "benchmark at commit 1234"}).findings
    assert finding.startswith(f"the runs: benchmark at commit 1234; packaged: {now}; package from a clean")
    assert check_commit({}).findings[0].startswith("the runs: no commit noted")


def test_the_code_that_ran_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package_checks, "software_notes", lambda: "benchmark at commit 1234")
    assert check_commit({"sw_notes": "benchmark at commit 1234"}).verdict == "passed"
