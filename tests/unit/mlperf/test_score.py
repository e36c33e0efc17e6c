"""Tests of the figures of runs from their result files; the official summariser computes the shared ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlperf_logging.compliance_checker import mlp_compliance
from mlperf_logging.rcp_checker import rcp_checker
from mlperf_logging.result_summarizer import result_summarizer

from speech_recognition.errors import InputError
from speech_recognition.mlperf import score
from speech_recognition.mlperf.check import RULES, RULESET
from speech_recognition.mlperf.score import find_scores, run_score
from tests.unit.mlperf.runs import MINI, timed_log, write_log, write_points

pytestmark = pytest.mark.usefixtures("rules_read_once")

MINUTES = (3.0, 2.0, 9.0, 4.0, 2.5)


@pytest.fixture
def points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make points with a mean of 4.5 epochs those of every benchmark."""
    path = write_points(tmp_path / "points.json")
    monkeypatch.setattr(score, "reference_points", lambda _: path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes logs into a folder, under the names of result files by default."""

    def write(*logs: list[str], name: str = "results", form: str = "result_{}.txt", first: int = 0) -> Path:
        for number, lines in enumerate(logs, start=first):
            write_log(tmp_path / name / form.format(number), lines)
        return tmp_path / name

    return write


def test_the_shared_figures_are_the_official_summarisers(
    folder: Callable[..., Path], points: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [timed_log(number, minutes, epochs=4) for number, minutes in enumerate((*MINUTES, 3.3, 3.1, 2.2, 5.0))]
    results = folder(*runs, timed_log(9, 1.0, epochs=5, reached=False))
    (ours,) = find_scores(results)

    main = mlp_compliance.main  # with our rules, as the official ones do not know the benchmark
    monkeypatch.setattr(mlp_compliance, "main", lambda log, _, checker: main(log, str(RULES / "closed.yaml"), checker))
    monkeypatch.setitem(rcp_checker.submission_runs["training"], MINI, 10)
    with points.open() as file:
        official = rcp_checker.check_directory(
            str(results), "training", RULESET, False, False, rcp_file=file, rcp_pass="pruned_rcps", set_scaling=True
        )
    tracked, _, minutes, _, factor = result_summarizer._compute_strong_score_standalone(
        MINI, "system", False, str(results), "training", RULESET, return_full_scores=True
    )
    assert {str(run.path): run.minutes for run in ours.runs if run.counts} == pytest.approx(tracked)
    assert factor > 1 and (ours.factor, ours.minutes) == (pytest.approx(factor), pytest.approx(minutes))
    assert ours.convergence is not None and ours.convergence.passed == official[0] is True
    files = [str(run.path) for run in ours.runs]
    size, epochs, _ = rcp_checker.get_submission_epochs(files, RULESET, False)
    assert {run.batch_size for run in ours.runs} == {size}
    assert [run.epochs for run in ours.runs if run.reached] == epochs[:9]


def test_each_figure_is_read_off_the_log(folder: Callable[..., Path]) -> None:
    path = folder(timed_log(123, 2.5, epochs=3)) / "result_0.txt"
    run = run_score(path)
    assert (run.path, run.benchmark, run.division, run.seed) == (path, MINI, "closed", 123)
    assert (run.minutes, run.epochs, run.batch_size, run.wer) == (2.5, 3, 16, 20.0)
    assert (
        run.samples
        == [r for _, key, r in timed_log(1, 1, epochs=3).records() if key == "eval_accuracy"][-1]["metadata"][
            "samples_count"
        ]
    )
    assert run.reached and run.violations == () and run.counts


def test_a_run_that_breaks_a_rule_or_misses_its_target_counts_as_the_slowest(
    folder: Callable[..., Path], points: Path
) -> None:
    good = [timed_log(number, minutes, epochs=5) for number, minutes in enumerate((2.0, 3.0, 4.0))]
    broken = timed_log(3, 1.0, epochs=5).edited("seed", value="seven")
    missed = timed_log(4, 1.0, epochs=5, reached=False)
    for name, bad in (("broken", broken), ("missed", missed)):
        (found,) = find_scores(folder(*good, bad, name=name))
        assert not found.fine and [run.counts for run in found.runs] == [True, True, True, False]
        assert found.olympic == 3.5 and found.spread == 1.0
    (both,) = find_scores(folder(*good, broken, missed, name="both"))
    assert both.olympic is both.minutes is None
    assert (both.runs[3].reached, len(both.runs[3].violations), both.runs[3].seed) == (True, 1, None)
    assert not both.runs[4].reached and "run_stop" in str(both.runs[4].violations[0])


def test_a_run_that_was_killed_has_the_figures_up_to_there(folder: Callable[..., Path]) -> None:
    lines = timed_log(7, 2.0, epochs=3)
    after = next(index for index, key, _ in lines.records() if key == "epoch_start")
    (found,) = find_scores(folder(lines[:after]))
    (run,) = found.runs
    assert (run.seed, run.minutes, run.epochs, run.samples, run.wer) == (7, None, None, None, None)
    assert not run.reached and run.violations and not found.fine
    (early,) = find_scores(folder(lines[:2], *(timed_log(n, 2.0, epochs=3) for n in range(2)), name="early"))
    assert early.benchmark == MINI and early.runs[0].benchmark is None


def test_runs_that_converge_too_fast_have_no_fine_score(folder: Callable[..., Path], points: Path) -> None:
    (found,) = find_scores(folder(*(timed_log(number, 2.0, epochs=2) for number in range(4))))
    assert found.convergence is not None and not found.convergence.passed and found.factor == 1.0
    assert all(run.counts for run in found.runs) and not found.fine


@pytest.mark.parametrize(
    ("number", "division", "has_points", "reason"),
    [
        (2, "closed", True, "it needs 3 runs"),
        (3, "open", True, "closed division only"),
        (3, "closed", False, "has no reference convergence points"),
    ],
)
def test_convergence_is_not_refused_where_it_cannot_be_checked(
    folder: Callable[..., Path],
    points: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    division: str,
    has_points: bool,
    reason: str,
) -> None:
    if not has_points:
        monkeypatch.setattr(score, "reference_points", lambda _: None)
    (found,) = find_scores(folder(*(timed_log(seed, 2.0, epochs=2, division=division) for seed in range(number))))
    assert found.convergence is None and reason in found.unchecked and found.fine and found.factor == 1.0


@pytest.mark.parametrize("form", ["result_{}.txt", "run_{}/speech_ds2.out", "log_{}.out"])
def test_logs_are_found_in_order_under_the_names_of_submissions_of_runs_and_of_others(
    folder: Callable[..., Path], points: Path, form: str
) -> None:
    where = folder(*(timed_log(number, 2.0, epochs=4) for number in range(3)), form=form, first=8)
    (found,) = find_scores(where)
    assert [str(run.path.relative_to(where)) for run in found.runs] == [form.format(number) for number in (8, 9, 10)]
    assert found.fine and found.convergence is not None


def test_a_whole_package_has_a_score_for_each_folder_of_results(folder: Callable[..., Path], tmp_path: Path) -> None:
    for system, minutes in (("large", 1.0), ("small", 4.0)):
        folder(timed_log(1, minutes, epochs=4), name=f"org/results/{system}/{MINI}")
    scores = find_scores(tmp_path / "org")
    assert [(each.folder.parent.name, each.runs[0].minutes) for each in scores] == [("large", 1.0), ("small", 4.0)]


def test_a_folder_that_mixes_benchmarks_or_divisions_is_refused(folder: Callable[..., Path]) -> None:
    other = timed_log(2, 2.0, epochs=4).edited("submission_benchmark", value="rnnt")
    with pytest.raises(InputError, match=r"result_1\.txt: submission_benchmark is rnnt, but .* score them apart"):
        find_scores(folder(timed_log(1, 2.0, epochs=4), other))
    opened = timed_log(2, 2.0, epochs=4, division="open")
    with pytest.raises(InputError, match=r"result_1\.txt: submission_division is open, but closed in .*result_0\.txt"):
        find_scores(folder(timed_log(1, 2.0, epochs=4), opened))


def test_bad_input_is_named(folder: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone: no result_\*\.txt"):
        find_scores(tmp_path / "gone")
    with pytest.raises(InputError, match=r"result_0\.txt: no MLLOG lines"):
        find_scores(folder(["no log"]))
    with pytest.raises(InputError, match=r"result_0\.txt, line 1: not an MLLOG line"):
        find_scores(folder([":::MLLOG {}"]))


@pytest.mark.parametrize("value", [None, "x", True, [1], 1e999, 10**400])
def test_a_value_that_is_no_figure_stays_out_of_the_figures(folder: Callable[..., Path], value: Any) -> None:
    lines = timed_log(1, 2.0, epochs=4).edited("global_batch_size", value=value).edited("eval_accuracy", 3, value=value)
    (found,) = find_scores(folder(lines))
    (run,) = found.runs
    assert {run.batch_size, run.wer} == {value if value == 10**400 else None} and not run.counts
