"""Checks of a submission folder by mlperf_logging's checkers.

They are called as Python functions, because the commands of some exit with status 0 whatever they find.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlperf_logging.package_checker.seed_checker import SeedChecker
from mlperf_logging.repo_checker import repo_checker
from mlperf_logging.system_desc_checker import system_desc_checker

from speech_recognition import settings
from speech_recognition.errors import one_line
from speech_recognition.mlperf.check import RULESET
from speech_recognition.mlperf.convergence import RUNS
from speech_recognition.mlperf.described import described
from speech_recognition.mlperf.log_table import log_table
from speech_recognition.mlperf.messages import messages
from speech_recognition.mlperf.package_layout import Layout
from speech_recognition.mlperf.score import FolderScore, RunScore
from speech_recognition.mlperf.system import Description, blanks, read_description, software_notes, submitted
from speech_recognition.parameters import Params


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


def check_package(layout: Layout, submission: Mapping[str, str], scored: FolderScore) -> list[Check]:
    """Return every check of a submission, whose runs have the score `scored`, but that of the commit."""
    results = layout.results.results()
    return [
        Check(name=f"number of result files ({RUNS})", findings=_count(results)),
        *(Check(name=f"{run.path.name} (compliance_checker)", findings=_violations(run)) for run in scored.runs),
        Check(name="seeds (SeedChecker)", findings=_seeds(results)),
        _convergence(scored),
        Check(name="parameters (params.json of each run)", findings=tuple(_parameters(layout, results))),
        Check(name="system description (system_desc_checker)", findings=_system(layout.system, submission)),
        Check(name="files (repo_checker)", findings=_files(layout.path)),
    ]


def check_commit(system: Description) -> Check:
    """Return the check that the packaged commit is the one that ran, which `system` names in its sw_notes."""
    ran, now = one_line(system.get("sw_notes") or "no commit noted"), software_notes()
    same = ran == now and not now.endswith(("-dirty", "unknown"))
    finding = f"the runs: {ran}; packaged: {now}; package from a clean checkout of the runs' commit"
    return Check(name="code (commit of the runs)", findings=() if same else (finding,))


def _count(results: list[Path]) -> tuple[str, ...]:
    return () if len(results) == RUNS else (f"{len(results)} result files; a submission has {RUNS}",)


def _violations(run: RunScore) -> tuple[str, ...]:
    return tuple(map(str, run.violations))


def _seeds(results: list[Path]) -> tuple[str, ...]:
    with messages() as said:
        try:
            passed = SeedChecker(RULESET).check_seeds([str(path) for path in results])
        except TypeError:  # SeedChecker uses the two values as dictionary keys
            return ("a seed's file or lineno in its metadata is a list or an object",)
    return () if passed else tuple(said)


def _convergence(scored: FolderScore) -> Check:
    verdict = scored.convergence
    findings = () if verdict is None or verdict.passed else (verdict.message,)
    return Check(name="convergence (rcp_checker)", findings=findings, skipped=scored.unchecked)


def _parameters(layout: Layout, results: Sequence[Path]) -> Iterator[str]:
    """Yield each contradiction between the parameters that are submitted for a run and its log, or the first run."""
    first = settings.read_params(layout.own.run(0).params)
    for number, log in enumerate(results):
        params = settings.read_params(layout.own.run(number).params)
        for name, (old, new) in settings.differences(first, params).items():
            yield f"run_{number}: {name} is {new!r}, but {old!r} in run_0; package runs with the same parameters"
        yield from (f"run_{number}: {finding}" for finding in _contradictions(params, log))


def _contradictions(params: Params, log: Path) -> Iterator[str]:
    """Yield each line of a log that a run with these parameters does not write.

    Left out are the seed, which is not among them, and the micro batch, which depends on the number of processes too.
    """
    table = log_table(log).drop_duplicates("key").set_index("key")
    expected = {key: {"value": value, **metadata} for key, value, metadata in described(params, seed=0)}
    for key, fields in expected.items():
        for name, value in fields.items() if key not in ("seed", "micro_batch_size") else ():
            logged = table[name].get(key) if name in table else None
            if logged != value:
                shown = "missing" if logged is None or logged != logged else logged  # NaN: only other lines have it
                of = "" if name == "value" else f" of {name}"
                yield one_line(f"{key}{of} is {shown} in {log.name}, but {value} by params.json")
    for key in table.index:
        if key.startswith(("opt_", "data_")) and key not in expected:
            yield one_line(f"{key} is in {log.name}, but does not follow from params.json")


def _system(path: Path, submission: Mapping[str, str]) -> tuple[str, ...]:
    """Return the faults that system_desc_checker finds, the blank fields, and the values that contradict the logs."""
    with messages() as said:
        passed = system_desc_checker.check_system_desc(str(path), "training", RULESET)[0]
    description = read_description(path)
    contradictions = [
        f"{name} is {description[name]!r}, but {value!r} in the logs"
        for name, value in submitted(submission).items()
        if description.get(name, value) != value
    ]
    missing = blanks(description)
    untold = (
        f"the machine does not tell {', '.join(missing)}: put them in a JSON file and give it with --system FILE.json"
    )
    return (*(() if passed else said), *([untold] if missing else []), *contradictions)


def _files(folder: Path) -> tuple[str, ...]:
    with messages() as said:
        repo_checker.run_checks(str(folder))  # returns False whatever it finds; its messages tell
    return tuple(said)
