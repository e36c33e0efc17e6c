"""The official checkers over a submission folder, called as Python: some end with status 0 whatever they find."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from mlperf_logging.package_checker.seed_checker import SeedChecker
from mlperf_logging.repo_checker import repo_checker
from mlperf_logging.system_desc_checker import system_desc_checker

from speech_recognition.mlperf.check import RULESET, Division, check_log
from speech_recognition.mlperf.run_log import BENCHMARK

RUNS = 10
"""Result files that a submission has, as for MLPerf's other speech benchmark."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """What one checker says."""

    name: str
    findings: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether it has found nothing."""
        return not self.findings


def check_package(folder: Path, submission: dict[str, str]) -> list[Check]:
    """Every check of the folder of one org that holds one system."""
    system = folder / "systems" / f"{submission['platform']}.json"
    results = sorted((folder / "results" / submission["platform"] / BENCHMARK).glob("result_*.txt"))
    return [
        Check(name=f"number of result files ({RUNS})", findings=_count(results)),
        *(_compliance(path, cast(Division, submission["division"])) for path in results),
        Check(name="seeds (SeedChecker)", findings=_seeds(results)),
        Check(name="system description (system_desc_checker)", findings=_system(system)),
        Check(name="files (repo_checker)", findings=_files(folder)),
    ]


def _count(results: list[Path]) -> tuple[str, ...]:
    return () if len(results) == RUNS else (f"{len(results)} result files; a submission has {RUNS}",)


def _compliance(path: Path, division: Division) -> Check:
    violations = check_log(path, division)
    return Check(name=f"{path.name} (compliance_checker)", findings=tuple(map(str, violations)))


def _seeds(results: list[Path]) -> tuple[str, ...]:
    with _messages() as messages:
        passed = SeedChecker(RULESET).check_seeds([str(path) for path in results])
    return () if passed else tuple(messages)


def _system(path: Path) -> tuple[str, ...]:
    with _messages() as messages:
        passed = system_desc_checker.check_system_desc(str(path), "training", RULESET)[0]
    return () if passed else tuple(messages)


def _files(folder: Path) -> tuple[str, ...]:
    with _messages() as messages:
        repo_checker.run_checks(str(folder))  # says False whatever it finds
    return tuple(messages)


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(" ".join(record.getMessage().split()))


@contextmanager
def _messages() -> Iterator[list[str]]:
    """What is logged as an error in the block: the checkers write to the root logger."""
    root, handler = logging.getLogger(), _Errors()
    handlers, root.handlers = root.handlers, [handler]
    try:
        yield handler.messages
    finally:
        root.handlers = handlers
