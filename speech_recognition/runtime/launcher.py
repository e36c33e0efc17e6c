"""Start of a run's processes on this machine by torch's launcher, torchrun."""

import os
import signal
import tempfile
from pathlib import Path

import torch
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from speech_recognition.errors import ExitStatus, InputError
from speech_recognition.runtime import exit_status


def wanted(count: int, device: str) -> int:
    """Return how many processes to start: `count`, or one for each GPU if that is -1.

    Raises InputError if the device is not the CPU and there are fewer GPUs.
    """
    if device.startswith("cuda:") and count != 1:
        raise InputError(f"--device {device}: is one GPU; use --device cuda with --num-gpus {count}")
    if device == "cpu":
        if count < 1:
            raise InputError("--num-gpus -1: --device cpu has no GPUs to count; say how many processes")
        return count
    there = torch.cuda.device_count()
    if count > max(there, 1):
        raise InputError(f"--num-gpus {count}: torch sees {there} GPUs; use fewer, or --device cpu")
    return max(there, 1) if count == -1 else count


def start(count: int, arguments: list[str]) -> int:
    """Run a command of this program in `count` processes under torchrun and return the exit status.

    If a process fails, this is the status of the first one that failed by itself.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))  # torchrun's default is 1
    # SIGTERM, SIGINT and SIGHUP stay with our own handler. Its exception makes torchrun send SIGTERM to the processes,
    # which save and end. torchrun itself would pass a SIGINT on, and a Python that is still starting answers with a
    # traceback.
    options = ["--standalone", "--nproc-per-node", str(count), "--signals-to-handle", "SIGQUIT"]
    options += ["--module", "speech_recognition", *arguments]
    with tempfile.NamedTemporaryFile() as file:
        os.environ[exit_status.FILE] = file.name
        try:
            torchrun.run(torchrun.parse_args(options))  # type: ignore[no-untyped-call]
        except ChildFailedError as error:
            return _status(error)
        except SignalException as error:
            return 128 + int(error.sigval)
        finally:
            del os.environ[exit_status.FILE]
        return exit_status.from_processes(Path(file.name))


def _status(error: ChildFailedError) -> int:
    """Return the exit status of the first process that failed by itself.

    The others follow it: they end with FAILURE, or by torchrun's SIGTERM.
    """
    stopped = (-signal.SIGTERM, 128 + signal.SIGTERM)
    in_turn = sorted(error.failures.values(), key=lambda each: each.timestamp)
    statuses: list[int] = [each.exitcode for each in in_turn]
    own = [each for each in statuses if each not in (ExitStatus.FAILURE, *stopped)]
    own = own or [each for each in statuses if each == ExitStatus.FAILURE]
    status = (own or statuses)[0]
    return status if status >= 0 else 128 - status  # -N is a process that signal N killed, in a shell 128 + N
