"""The official compliance checker with this benchmark's rules, in this process."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mlperf_logging.compliance_checker import mlp_compliance
from mlperf_logging.compliance_checker.mlp_parser import ruleset_610

from speech_recognition.errors import InputError
from speech_recognition.mlperf.messages import messages

RULESET = "6.1.0"
RULES = Path(__file__).parent / "rules"

Division = Literal["closed", "open"]


@dataclass(frozen=True)
class Violation:
    """One broken rule."""

    message: str
    """what is wrong, in one line"""
    line: int | None = None
    """line of the log file, from 1; None where the rule is about the whole log"""

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


def check_log(path: Path, division: Division) -> list[Violation]:
    """The rules of `division` that the log at `path` breaks, in the checker's order; none if it is compliant.

    The verdict is that of `python -m mlperf_logging.compliance_checker --ruleset 6.1.0 --werror`.
    Raises InputError if there is no such file or it cannot be read.
    """
    lines = _mllog_lines(path)
    unreadable = [violation for number, text in lines if (violation := _unreadable(number, text))]
    if unreadable:
        # The checker gives such lines without their place, or stops at them with a traceback.
        return unreadable
    checker = _Checker([number for number, _ in lines])
    with messages():
        mlp_compliance.main(str(path), str(RULES.absolute() / f"{division}.yaml"), checker)
    return checker.violations


def _mllog_lines(path: Path) -> list[tuple[int, str]]:
    """Number and text of each line that the checker reads, cut as it cuts them."""
    if path.exists() and not path.is_file():  # it is read twice
        raise InputError(f"{path}: is no regular file; give the log of a run (speech_ds2.out)")
    try:
        text = path.read_text(encoding="latin-1")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; give the log of a run (speech_ds2.out)") from error
    token = ruleset_610.TOKEN
    numbered = enumerate(text.split("\n"), start=1)
    return [(number, line[line.rindex(token) :].strip()) for number, line in numbered if token in line]


def _unreadable(number: int, text: str) -> Violation | None:
    try:
        ruleset_610.string_to_logline(number, text)
    except Exception as error:  # whatever the checker's parser stumbles over
        return Violation(f"not a whole MLLOG line ({type(error).__name__}: {error})", number)
    return None


class _Checker(mlp_compliance.ComplianceChecker):  # type: ignore[misc]  # the package has no types
    """The official checker, warnings as errors, that notes every failure with its place.

    The original keeps the last failure of each key only.
    """

    def __init__(self, line_numbers: list[int]) -> None:
        super().__init__("training", RULESET, quiet=False, werror=True)
        self.violations: list[Violation] = []
        self._line_numbers = line_numbers
        self._entry: Any = None

    def run_check_eval(self, ll: Any, tests: Any, state: Any) -> None:
        self._entry = ll
        super().run_check_eval(ll, tests, state)
        self._entry = None

    def run_check_exec(self, ll: Any, code: Any, state: Any, action: Any) -> None:
        self._entry = ll
        super().run_check_exec(ll, code, state, action)
        self._entry = None

    def put_message(self, msg: str, key: str | None = None) -> None:
        super().put_message(msg, key)
        if self._entry is None:
            self.violations.append(Violation(_reason(msg)))
            return
        reason = _reason(msg.replace(self._entry.full_string, ""))
        self.violations.append(Violation(f"{self._entry.key}: {reason}", self._line_numbers[self._entry.lineno]))

    def log_messages(self) -> None:
        """Leave out the original's report; `violations` has it."""


def _reason(message: str) -> str:
    """What our rules say in the comment of a failed test, else the checker's own first line."""
    comment = re.search(r"# (.+)", message)
    return comment[1] if comment else message.partition("\n")[0].rstrip(" :")
