"""The commands for logs and submissions: check-log, package."""

import argparse
from pathlib import Path

from speech_recognition.commands import ROOT, Commands


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


def add_package(commands: Commands) -> None:
    """Add the command `package`."""
    parser = commands.add_parser("package", help="make and check a submission folder in MLPerf's layout")
    parser.add_argument("runs", type=Path, help="results of `run_and_time.sh PRESET --runs 10`")
    parser.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="where the org's folder is made")
    parser.add_argument(
        "--system", type=Path, metavar="FILE.json", help="values of the system description that the machine cannot tell"
    )
    parser.set_defaults(run=_package)


def _package(options: argparse.Namespace) -> int:
    from speech_recognition.mlperf.package import make_package

    checks = make_package(options.runs, options.output_dir, ROOT, options.system)
    for check in checks:
        print(f"{check.name}: {'passed' if check.passed else 'FAILED'}")
        for finding in check.findings:
            print(f"  {finding}")
    return 0 if all(check.passed for check in checks) else 1
