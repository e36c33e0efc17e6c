"""Compliance check of an MLPerf log: mlperf_logging.compliance_checker, run in this process with our rules."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from mlperf_logging.compliance_checker import mlp_compliance
from mlperf_logging.compliance_checker.mlp_parser import ruleset_610

from speech_recognition.errors import InputError, one_line
from speech_recognition.mlperf.log_table import TOKEN, check_line, read_log
from speech_recognition.mlperf.messages import messages

RULESET = "6.1.0"
RULES = Path(__file__).parent / "rules"

Division = Literal["closed", "open"]


@dataclass(frozen=True)
class Violation:
    """Rule that a log breaks."""

    message: str
    """Description of the fault; `str(violation)` puts it on one line."""
    line: int | None = None
    """Line number in the log file, from 1; None if the rule is about the log as a whole."""

    def __str__(self) -> str:
        message = one_line(self.message)
        return message if self.line is None else f"line {self.line}: {message}"


def check_log(path: Path, division: Division) -> list[Violation]:
    """Return the rules of `division` that the log at `path` breaks, in the checker's order; [] for a compliant log.

    The verdict is that of `python -m mlperf_logging.compliance_checker --ruleset 6.1.0 --werror` with the config
    rules/<division>.yaml; a log without an MLLOG line breaks only the rule to have one. Raises InputError if the log
    cannot be read or there is no such division.
    """
    # The checker executes code from the rules file that the division names, so no other text may become a path.
    if division not in get_args(Division):
        raise InputError(f"submission.division={division!r}: must be closed or open")
    lines = _mllog_lines(path)
    if not lines:
        return [Violation(f"{path}: holds no MLLOG line")]
    entries, unreadable = [], []
    for place, (number, text) in enumerate(lines):
        try:
            entries.append(_parsed(place, text))
        except Exception as error:  # the checker's parser raises errors of any kind on a damaged line
            unreadable.append(Violation(f"not a whole MLLOG line ({type(error).__name__}: {error})", number))
    if unreadable:
        # The checker reports such lines without their numbers, or ends with a traceback.
        return unreadable
    checker = _Checker([number for number, _ in lines])
    with messages():
        checker.check_loglines(entries, str(RULES.absolute() / f"{division}.yaml"))
    return checker.violations


def check_as_logged(path: Path, asked: Division | None = None) -> list[Violation]:
    """Return the rules that a log breaks of its own division, which its first `submission_division` line names.

    If the line names a different division than `asked`, that is the only violation. A log without the line is checked
    by the rules of `asked`, by default the closed ones, and a log of an unknown division by the closed ones; both
    fail. Raises InputError if the log cannot be read.
    """
    number, logged = _logged_division(path)
    if number is not None and asked not in (None, logged):
        return [Violation(f"submission_division: the log is of the division {logged}, not {asked}", number)]
    return check_log(path, asked or ("open" if logged == "open" else "closed"))


def _logged_division(path: Path) -> tuple[int | None, Any]:
    """Return the number and the value of the first `submission_division` line; (None, None) if there is none."""
    for number, text in _mllog_lines(path):
        with suppress(Exception):  # check_log names the damaged lines
            entry = _parsed(0, text)
            if entry.key == "submission_division":
                return number, entry.value["value"]
    return None, None


def _parsed(place: int, text: str) -> Any:
    """Return an MLLOG line as the official checker's parser reads it, which raises errors of any kind."""
    check_line(text)
    return ruleset_610.string_to_logline(place, text)


def _mllog_lines(path: Path) -> list[tuple[int, str]]:
    """Return the number and the text of each MLLOG line, without what precedes ":::MLLOG ", as the checker reads it."""
    numbered = enumerate(read_log(path, "latin-1").split("\n"), start=1)
    return [(number, line[line.rindex(TOKEN) :].strip()) for number, line in numbered if TOKEN in line]


class _Checker(mlp_compliance.ComplianceChecker):  # type: ignore[misc]  # the package has no types
    """Official checker, with warnings as errors, that records every failure with its line number.

    The original keeps only the last failure of each key.
    """

    def __init__(self, line_numbers: list[int]) -> None:
        super().__init__("training", RULESET, quiet=False, werror=True)
        self.violations: list[Violation] = []
        self._line_numbers = line_numbers
        self._entry: Any = None

    def run_check_eval(self, ll: Any, tests: Any, state: Any) -> None:
        """Run the CHECKs of the line `ll`, remembering the line for `put_message`."""
        self._entry = ll
        super().run_check_eval(ll, tests, state)
        self._entry = None

    def run_check_exec(self, ll: Any, code: Any, state: Any, action: Any) -> None:
        """Run the PRE or POST code of the line `ll`, remembering the line for `put_message`."""
        self._entry = ll
        super().run_check_exec(ll, code, state, action)
        self._entry = None

    def put_message(self, msg: str, key: str | None = None) -> None:
        """Record a failure with the number of the line that is being checked, if there is one."""
        super().put_message(msg, key)
        if self._entry is None:
            self.violations.append(Violation(_reason(msg)))
            return
        reason = _reason(msg.replace(self._entry.full_string, ""))
        self.violations.append(Violation(f"{self._entry.key}: {reason}", self._line_numbers[self._entry.lineno]))


def _reason(message: str) -> str:
    """Return the comment in the failed CHECK of our rules, which is its message; else the checker's first line."""
    comment = re.search(r"# (.+)", message)
    return comment[1] if comment else message.partition("\n")[0].rstrip(" :")
