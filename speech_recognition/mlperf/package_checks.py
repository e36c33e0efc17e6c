"""Checks of a submission folder by mlperf_logging's checkers.

They are called as Python functions, because the commands of some exit with status 0 whatever they find.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mlperf_logging.package_checker.seed_checker import SeedChecker
from mlperf_logging.repo_checker import repo_checker
from mlperf_logging.system_desc_checker import system_desc_checker

from speech_recognition.errors import InputError, one_line
from speech_recognition.mlperf.check import RULESET, Division, check_log
from speech_recognition.mlperf.convergence import RUNS, check_convergence, reference_points
from speech_recognition.mlperf.messages import messages
from speech_recognition.mlperf.system import Description, read_description, software_notes, submitted
from speech_recognition.runs.series_folder import SeriesFolder


@dataclass(frozen=True, kw_only=True)
class Check:
    """Result of one checker."""

    name: str
    findings: tuple[str, ...]
    """Faults, each on one line; empty if there is none."""
    skipped: str = ""
    """Reason why the check was not made; empty if it was."""

    @property
    def failed(self) -> bool:
        """True if the checker has found a fault."""
        return bool(self.findings)

    @property
    def verdict(self) -> str:
        """Result in a few words: "passed", "FAILED" or "not checked: <reason>"."""
        return "FAILED" if self.failed else f"not checked: {self.skipped}" if self.skipped else "passed"


def check_package(folder: Path, submission: dict[str, str]) -> list[Check]:
    """Return every check of `folder`, which holds one org's submission of one system to one benchmark."""
    system = folder / "systems" / f"{submission['platform']}.json"
    results = SeriesFolder(folder / "results" / submission["platform"] / submission["benchmark"]).results()
    return [
        Check(name=f"number of result files ({RUNS})", findings=_count(results)),
        *(_compliance(path, cast(Division, submission["division"])) for path in results),
        Check(name="seeds (SeedChecker)", findings=_seeds(results)),
        _convergence(results, submission["benchmark"]),
        Check(name="system description (system_desc_checker)", findings=_system(system, submission)),
        Check(name="files (repo_checker)", findings=_files(folder)),
    ]


def check_commit(system: Description) -> Check:
    """Return the check that the packaged commit is the one that ran, which `system` names in its sw_notes."""
    ran, now = one_line(system.get("sw_notes") or "no commit noted"), software_notes()
    same = ran == now and not now.endswith(("-dirty", "unknown"))
    finding = f"the runs: {ran}; packaged: {now}; package from a clean checkout of the runs' commit"
    return Check(name="code (commit of the runs)", findings=() if same else (finding,))


def _count(results: list[Path]) -> tuple[str, ...]:
    return () if len(results) == RUNS else (f"{len(results)} result files; a submission has {RUNS}",)


def _compliance(path: Path, division: Division) -> Check:
    violations = check_log(path, division)
    return Check(name=f"{path.name} (compliance_checker)", findings=tuple(map(str, violations)))


def _seeds(results: list[Path]) -> tuple[str, ...]:
    with messages() as said:
        try:
            passed = SeedChecker(RULESET).check_seeds([str(path) for path in results])
        except TypeError:  # SeedChecker uses the two values as dictionary keys
            return ("a seed's file or lineno in its metadata is a list or an object",)
    return () if passed else tuple(said)


def _convergence(results: list[Path], benchmark: str) -> Check:
    name, points = "convergence (rcp_checker)", reference_points(benchmark)
    if points is None:
        return Check(name=name, findings=(), skipped=f"{benchmark} has no reference convergence points")
    try:
        verdict = check_convergence(results[0].parent, points)
    except InputError as error:
        return Check(name=name, findings=(one_line(str(error)),))
    return Check(name=name, findings=() if verdict.passed else (verdict.message,))


def _system(path: Path, submission: Mapping[str, str]) -> tuple[str, ...]:
    """Return the faults that system_desc_checker finds, and the values that contradict the logs."""
    with messages() as said:
        passed = system_desc_checker.check_system_desc(str(path), "training", RULESET)[0]
    description = read_description(path)
    contradictions = [
        f"{name} is {description[name]!r}, but {value!r} in the logs"
        for name, value in submitted(submission).items()
        if description.get(name, value) != value
    ]
    return (*(() if passed else said), *contradictions)


def _files(folder: Path) -> tuple[str, ...]:
    with messages() as said:
        repo_checker.run_checks(str(folder))  # returns False whatever it finds; its messages tell
    return tuple(said)
