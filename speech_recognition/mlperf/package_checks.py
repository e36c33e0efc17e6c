"""The official checkers over a submission folder, called as Python: some end with status 0 whatever they find."""

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
from speech_recognition.mlperf.run_log import BENCHMARK
from speech_recognition.mlperf.system import Description, read, software_notes, submitted


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one checker says."""

    name: str
    findings: tuple[str, ...]
    skipped: str = ""
    """why it was not made"""

    @property
    def failed(self) -> bool:
        """Whether it has found anything."""
        return bool(self.findings)

    @property
    def verdict(self) -> str:
        """In a word."""
        return "FAILED" if self.failed else f"not checked: {self.skipped}" if self.skipped else "passed"


def check_package(folder: Path, submission: dict[str, str], preset: str) -> list[Check]:
    """Every check of the folder of one org that holds one system, whose runs were of `preset`."""
    system = folder / "systems" / f"{submission['platform']}.json"
    results = sorted((folder / "results" / submission["platform"] / BENCHMARK).glob("result_*.txt"))
    return [
        Check(name=f"number of result files ({RUNS})", findings=_count(results)),
        *(_compliance(path, cast(Division, submission["division"])) for path in results),
        Check(name="seeds (SeedChecker)", findings=_seeds(results)),
        _convergence(results, preset),
        Check(name="system description (system_desc_checker)", findings=_system(system, submission)),
        Check(name="files (repo_checker)", findings=_files(folder)),
    ]


def check_commit(system: Description) -> Check:
    """Whether the code that is packaged is the code that ran, by the note in the description of its system."""
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
        except TypeError:  # it looks the places up in a dictionary
            return ("a seed's file or lineno in its metadata is a list or an object",)
    return () if passed else tuple(said)


def _convergence(results: list[Path], preset: str) -> Check:
    name, points = "convergence (rcp_checker)", reference_points(preset)
    if points is None:
        return Check(name=name, findings=(), skipped=f"{preset} has no reference convergence points")
    try:
        verdict = check_convergence(results[0].parent, points)
    except InputError as error:
        return Check(name=name, findings=(one_line(str(error)),))
    return Check(name=name, findings=() if verdict.passed else (verdict.message,))


def _system(path: Path, submission: Mapping[str, str]) -> tuple[str, ...]:
    """What the official checker finds, and where the description contradicts the logs."""
    with messages() as said:
        passed = system_desc_checker.check_system_desc(str(path), "training", RULESET)[0]
    description = read(path)
    contradictions = [
        f"{name} is {description[name]!r}, in the logs {value!r}"
        for name, value in submitted(submission).items()
        if description.get(name, value) != value
    ]
    return (*(() if passed else said), *contradictions)


def _files(folder: Path) -> tuple[str, ...]:
    with messages() as said:
        repo_checker.run_checks(str(folder))  # says False whatever it finds
    return tuple(said)
