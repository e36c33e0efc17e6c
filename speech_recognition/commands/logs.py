"""The command that checks a log: check-log."""

import argparse
from pathlib import Path

from speech_recognition.commands import Commands


def add_check_log(commands: Commands) -> None:
    """Add the command `check-log`."""
    parser = commands.add_parser("check-log", help="check an MLPerf log with the official checker and our rules")
    parser.add_argument("log", type=Path, help="a file such as speech_ds2.out")
    parser.add_argument(
        "--division", choices=["closed", "open"], default="closed", help="whose rules (default: closed)"
    )
    parser.set_defaults(run=_check_log)


def _check_log(options: argparse.Namespace) -> int:
    from speech_recognition.mlperf.check import check_log

    violations = check_log(options.log, options.division)
    for violation in violations:
        print(violation)
    if not violations:
        print("SUCCESS")
    return 1 if violations else 0
