"""Tests that the rule files for mlperf-logging refuse what our rules refuse, and nothing else."""

import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from mlperf_logging.compliance_checker import mlp_compliance
from mlperf_logging.compliance_checker.mlp_parser.ruleset_610 import parse_generator

from script.make_upstream_patch import OFFICIAL, registration
from script.upstream_rules import expression
from speech_recognition.mlperf.benchmarks import benchmarks
from speech_recognition.mlperf.check import Division
from speech_recognition.mlperf.constraints import allows
from tests.unit.mlperf.conftest import LogLines
from tests.unit.mlperf.test_rules_closed import CASES

CHECKER = Path("compliance_checker", "training_6.1.0")

pytestmark = pytest.mark.usefixtures("rules_read_once")


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a compliance_checker's folder with the rules of a patched package."""
    folder = tmp_path_factory.mktemp("package")
    shutil.copytree(OFFICIAL / CHECKER, folder / CHECKER)
    for path, text in registration().items():
        if path.startswith(f"{CHECKER}/"):
            (folder / path).write_text(text)
    return folder / CHECKER.parent


@pytest.fixture
def passes(rules: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Sequence[str]], bool]:
    """Return a function that tells whether the official checker accepts lines by these rules, without --config."""
    # The checker looks for the rules beside its own file.
    monkeypatch.setattr(mlp_compliance, "__file__", str(rules / "mlp_compliance.py"))

    def accepted(lines: Sequence[str]) -> bool:
        checker = mlp_compliance.make_checker("training", "6.1.0", quiet=False, werror=True)
        mlp_compliance.enqueued_configs.clear()
        try:
            checker.check_loglines(parse_generator(lines)[0], "training_6.1.0/common.yaml")
        except FileNotFoundError:  # its end with a log of a benchmark that it does not know
            return False
        return not checker.has_messages()

    return accepted


@pytest.mark.parametrize(
    ("preset", "division"),
    [
        ("mini", "closed"),
        ("small", "closed"),
        ("reference", "closed"),
        ("mini", "open"),
        ("mlperf_2018", "open"),
        ("tensorflow", "open"),
    ],
)
def test_good_logs_pass(preset: str, division: Division, good_log: Any, passes: Any) -> None:
    assert passes(good_log(preset, division=division))


@pytest.mark.parametrize("division", ["closed", "open"])
def test_the_table_of_damaged_logs_has_the_same_verdicts(
    division: Division, good_log: Any, check: Any, passes: Any
) -> None:
    verdicts = []
    for case in CASES:
        lines = case.damage(good_log(case.preset)).edited("submission_division", value=division)
        verdicts.append((case.name, check(lines, division) == [], passes(lines)))
    assert [each for each in verdicts if each[1] != each[2]] == []
    assert {passed for _, _, passed in verdicts} == {True, False}


def test_every_line_is_held_to_the_same_values(good_log: Any, check: Any, passes: Any) -> None:
    good = good_log()
    keys = sorted({key for _, key, _ in good.records()} - {"submission_division"})
    damaged = [(key, good.without_metadata(key)) for key in keys]
    damaged += [(key, LogLines(line for line in good if f'"key": "{key}"' not in line)) for key in keys]
    damaged += [(key, good.edited(key, value=value)) for key in keys for value in (None, "word", True, 1.5)]
    assert [key for key, lines in damaged if (check(lines) == []) != passes(lines)] == []


@pytest.mark.parametrize("name", benchmarks())
def test_an_expression_is_true_for_what_its_constraint_allows(name: str) -> None:
    lines = benchmarks()[name].lines.values()
    constraints = [*lines, *(inner for line in lines for inner in line.get("metadata", {}).values())]
    named = [value for each in constraints for value in (*each.values(), *each.get("one_of", ()))]
    near = [value + step for value in named if type(value) in (int, float) for step in (-1e-9, 1e-9)]
    for constraint in constraints:
        for value in (*named, *near, True, False, 0, 1, math.nan, math.inf, "1", None):
            found = all(eval(text, {"value": value}) for text in expression(constraint, "value"))
            assert found == allows(constraint, value), (constraint, value)
