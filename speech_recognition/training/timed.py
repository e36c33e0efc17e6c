"""A timed run: the run between the lines of MLPerf's timing block, and the verdict on its log."""

import getpass
import time

from speech_recognition.errors import ExitStatus
from speech_recognition.mlperf.check import check_log
from speech_recognition.mlperf.log_table import run_seconds
from speech_recognition.runs.log import Output, Silence
from speech_recognition.training.job import Job
from speech_recognition.training.run import run

_STARTING = "STARTING TIMING RUN AT "
"""Beginning of the timing block's first line."""


def run_and_time(job: Job, output: Output | Silence) -> ExitStatus:
    """Run `job` between the lines of MLPerf's timing block, then check its log.

    Returns TARGET_MISSED if the run missed its target, else FAILURE if the log is not compliant, else DONE. Raises as
    `run` does.
    """
    print(f"{_STARTING}{_now()}", file=output)
    reached = run(job, output)
    if isinstance(output, Silence):  # a process that writes no log, and so has none to check
        return ExitStatus.DONE if reached else ExitStatus.TARGET_MISSED
    print(f"ENDING TIMING RUN AT {_now()}", file=output)
    # Both times are read from the log: a run that torchrun restarted began before this process did.
    lines = output.path.read_text(encoding="utf-8").splitlines()
    start = next(line.removeprefix(_STARTING) for line in lines if line.startswith(_STARTING))
    print(f"RESULT,SPEECH_RECOGNITION,{job.seed},{run_seconds(output.path):.0f},{_user()},{start}", file=output)
    violations = check_log(output.path, job.params.submission.division)
    for violation in violations:
        print(f"NOT COMPLIANT: {violation}", file=output)
    if not violations:
        print(f"SUCCESS: the log passes the {job.params.submission.division} rules", file=output)
    if not reached:
        return ExitStatus.TARGET_MISSED
    return ExitStatus.FAILURE if violations else ExitStatus.DONE


def _now() -> str:
    """Return the time of day in the form of the timing block, such as 2018-08-29 02:05:00 PM."""
    return time.strftime("%Y-%m-%d %I:%M:%S %p")


def _user() -> str:
    """Return the name of the user, or "unknown"."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return "unknown"
