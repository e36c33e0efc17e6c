"""Report of a missed target from the processes of a run to the launcher that started them.

torch's launcher takes every exit status but 0 for a failure: it logs an error, ends the other processes and, with
restarts left, starts all of them again. A missed target is a result.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from speech_recognition.errors import ExitStatus

FILE = "DEEPSPEECH2_OUTCOME"
"""Environment variable that names the file in which the processes of --num-gpus leave their exit status."""


def told_to_launcher(status: int, environment: Mapping[str, str]) -> int:
    """Return the exit status of a process whose command ended with `status`.

    Under --num-gpus a missed target goes into the launcher's file, and the process ends with DONE. A torchrun that
    the user typed reports the status as a failure; the first process prints beforehand what that means.
    """
    if status != ExitStatus.TARGET_MISSED or "TORCHELASTIC_RUN_ID" not in environment:
        return status
    if FILE in environment:
        # Every process writes the same digit, so their order does not matter.
        Path(environment[FILE]).write_text(str(status), encoding="utf-8")
        return ExitStatus.DONE
    if environment.get("RANK") == "0":
        print("the target was missed: torchrun reports this as a failure, and its exit status is 1", file=sys.stderr)
    return status


def from_processes(file: Path) -> ExitStatus:
    """Return the exit status of a run whose processes all ended with DONE and may have left theirs in `file`."""
    # Nobody writes on success: the file is empty.
    return ExitStatus(int(file.read_text(encoding="utf-8") or ExitStatus.DONE))
