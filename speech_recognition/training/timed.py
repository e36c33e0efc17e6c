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


def run_and_time(job: Job, output: Output | Silence) -> ExitStatus:
    """Run `job` between the lines of MLPerf's timing block, then check its log.

    Returns TARGET_MISSED, else FAILURE if the log is not compliant, else DONE.
    """
    print(f"{_STARTING}{_now()}", file=output)
    reached = run(job, output)
    if isinstance(output, Silence):
        return ExitStatus.DONE if reached else ExitStatus.TARGET_MISSED
    print(f"ENDING TIMING RUN AT {_now()}", file=output)
    # Off the log itself: a run that was restarted by torchrun began before this process did.
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
    return time.strftime("%Y-%m-%d %I:%M:%S %p")


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user id without a name
        return "unknown"
