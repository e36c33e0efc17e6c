"""The commands that read the logs and results of runs: check-log, report, results, score, check-rcp, package."""

import argparse
from pathlib import Path

from speech_recognition.commands import ROOT, Commands
from speech_recognition.commands.options import check_output
from speech_recognition.errors import ExitStatus, InputError
from speech_recognition.files import atomic_write, check_writable

_SERIES = "folder that `run_and_time.sh PRESET --runs 10` made, with result_0.txt and so on"


def add_check_log(commands: Commands) -> None:
    """Add the command `check-log`."""
    parser = commands.add_parser(
        "check-log",
        help="check an MLPerf log with the official checker and this benchmark's rules",
        description="Print SUCCESS and exit with status 0, or print each broken rule with its line and exit with 1."
        " The rules are those of the division that the log names.",
    )
    parser.add_argument("log", type=Path, metavar="LOG", help="a file such as speech_ds2.out")
    parser.add_argument("--division", choices=["closed", "open"], help="fail unless the log is of this division")
    parser.set_defaults(run=_check_log)


def _check_log(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.mlperf.check import check_as_logged

    violations = check_as_logged(options.log, options.division)
    if len(violations) == 1:
        print(f"FAILED: {violations[0]}")
    else:
        for violation in violations:
            print(violation)
        print(f"FAILED: {len(violations)} violations" if violations else "SUCCESS")
    return ExitStatus.FAILURE if violations else ExitStatus.DONE


def add_report(commands: Commands) -> None:
    """Add the command `report`."""
    parser = commands.add_parser(
        "report",
        help="write an HTML page about one run, or about several side by side",
        description="Write report.html, a self-contained page, and its charts as SVG files.",
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="folder of a run, or of a series of runs (train --runs)")
    add(
        "--output-dir",
        type=Path,
        metavar="DIR",
        help="folder for report.html and charts/ (default: RUN; required for several)",
    )
    add("--tensorboard", type=Path, metavar="DIR", help="also write TensorBoard event files to this folder")
    parser.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.report.page import write_report
    from speech_recognition.report.record import find_runs, read_records
    from speech_recognition.report.tensorboard import write_events

    if len(options.runs) > 1 and options.output_dir is None:
        raise InputError("report: several runs need --output-dir DIR, the folder for the page")
    folder = options.output_dir or options.runs[0]
    check_writable(folder, 10_000_000, "--output-dir")
    records = read_records(find_runs(options.runs))
    if options.tensorboard:
        for record in records:
            write_events(options.tensorboard, record)
    print(write_report(folder, records))
    return ExitStatus.DONE


def add_results(commands: Commands) -> None:
    """Add the command `results`."""
    parser = commands.add_parser(
        "results",
        help="add runs to the table of runs on a page of results",
        description="Add a row for each run to the table of runs on a page, all rows or none, and print them: machine,"
        " seed, WER, time, date, commit, command and so on, all read from the run's folder.",
    )
    add = parser.add_argument
    add("runs", type=Path, nargs="+", metavar="RUN", help="folder of a run, or of a series of runs (train --runs)")
    add(
        "--page",
        type=Path,
        default=ROOT / "docs" / "RESULTS.md",
        metavar="FILE.md",
        help="page that has the table (default: docs/RESULTS.md)",
    )
    add(
        "--command", metavar="TEXT", dest="made_by", help="command that made the runs (default: each run's command.txt)"
    )
    parser.set_defaults(run=_results)


def _results(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.report.record import find_runs, read_records
    from speech_recognition.report.results_page import append_rows

    check_output(options.page, "--page")
    print("\n".join(append_rows(options.page, read_records(find_runs(options.runs)), options.made_by)))
    return ExitStatus.DONE


def add_score(commands: Commands) -> None:
    """Add the command `score`."""
    parser = commands.add_parser(
        "score",
        help="score the runs in folders of result files, made here or elsewhere",
        description="For each run, print the minutes between run_start and run_stop, epochs, samples, batch size, final"
        " WER and verdict; for each folder, the mean without the fastest and the slowest run, the convergence verdict"
        " and the score: the mean times the verdict's factor. Exit status 1 if a run is not compliant or missed its"
        " target, or if convergence is refused.",
    )
    add = parser.add_argument
    add(
        "folders",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folder with result_*.txt, run_*/speech_ds2.out or *.out, or with folders that have result_*.txt",
    )
    add(
        "--format",
        choices=["table", "markdown"],
        default="table",
        help="form of what is printed (default: table)",
    )
    add("--json", type=Path, metavar="FILE", help="write the figures to FILE as JSON, too")
    parser.set_defaults(run=_score)


def _score(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.mlperf.score import find_scores
    from speech_recognition.mlperf.score_table import FORMATS, as_json

    if options.json:
        check_output(options.json, "--json")
    scores = [score for folder in options.folders for score in find_scores(folder)]
    if options.json:
        with atomic_write(options.json) as partial:
            partial.write_text(as_json(scores) + "\n", encoding="utf-8")
    print(FORMATS[options.format](scores))
    return ExitStatus.DONE if all(score.fine for score in scores) else ExitStatus.FAILURE


def add_package(commands: Commands) -> None:
    """Add the command `package`."""
    parser = commands.add_parser(
        "package",
        help="make and check a submission folder in MLPerf's layout",
        description="Make a submission folder from a series of runs, score and check it. Exit status 1 if a check"
        " fails.",
    )
    parser.add_argument("runs", type=Path, metavar="RUNS", help=_SERIES)
    parser.add_argument(
        "--output-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to put the submission in, as a folder named after submission.org",
    )
    parser.add_argument(
        "--system",
        type=Path,
        metavar="FILE.json",
        help="JSON file of facts about the machine, which replace those in run_0/system.json",
    )
    parser.set_defaults(run=_package)


def _package(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.mlperf.package import make_package
    from speech_recognition.mlperf.score_table import outcome

    package = make_package(options.runs, options.output_dir, ROOT, options.system)
    for check in package.checks:
        print(f"{check.name}: {check.verdict}")
        for finding in check.findings:
            print(f"  {finding}")
    for name, text in outcome(package.score).items():
        print(f"{name}: {text}")
    failed = sum(check.failed for check in package.checks)
    if failed:
        print(
            f"FAILED: {failed} of {len(package.checks)} checks of {package.folder}; correct what they name, remove that"
            " folder and run package again"
        )
        return ExitStatus.FAILURE
    print(f"SUCCESS: {package.folder} is a submission in which no check finds a fault")
    return ExitStatus.DONE


def add_check_rcp(commands: Commands) -> None:
    """Add the command `check-rcp`."""
    parser = commands.add_parser(
        "check-rcp",
        help="check that a series of runs does not converge faster than the reference",
        description="Compare the epochs that the runs took with those of the reference convergence points. Print"
        " SUCCESS and exit with status 0, or print REFUSED and exit with 1 if the runs took significantly fewer, by"
        " MLPerf's test.",
    )
    parser.add_argument("runs", type=Path, metavar="RUNS", help=_SERIES)
    parser.add_argument(
        "--points",
        type=Path,
        metavar="FILE.json",
        help="compare with these points, in MLPerf's form (default: those of the benchmark that the logs name)",
    )
    parser.set_defaults(run=_check_rcp)


def _check_rcp(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.mlperf import convergence
    from speech_recognition.runs.series_folder import SeriesFolder

    results = SeriesFolder(options.runs).results()
    benchmark = convergence.named_benchmark(results)
    points = options.points or convergence.reference_points(benchmark)
    if points is None:
        raise InputError(f"{options.runs}: {benchmark} has no reference convergence points; give a file with --points")
    print(convergence.points_table(points))
    faults = convergence.closed_faults(results)
    if faults:
        print("\n".join(faults))
        print(f"REFUSED: only runs that pass the closed rules are compared; violations: {len(faults)}")
        return ExitStatus.FAILURE
    verdict = convergence.check_convergence(options.runs, points)
    print(f"{'SUCCESS' if verdict.passed else 'REFUSED'}: {verdict.message}")
    if verdict.normalization > 1 and verdict.passed:
        print(f"faster than the reference: multiply the score by {verdict.normalization:.4f}")
    return ExitStatus.DONE if verdict.passed else ExitStatus.FAILURE
