"""Several processes of one run on this machine, by torchrun."""

import os
import signal

import torch
from torch.distributed import run as torchrun
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from speech_recognition.errors import InputError


def wanted(count: int, device: str) -> int:
    """How many processes to start: `count`, or one for each GPU where that is -1.

    Raises InputError if there are not so many GPUs, unless the device is the CPU.
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
    """Run a command of this program in `count` processes under torchrun; returns the exit status.

    It is that of the first process that failed.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))  # else torchrun takes 1
    # Signals stay with our own handler. What it raises has torchrun send SIGTERM to the processes, which save and end;
    # SIGINT, which torchrun would pass on, makes a traceback of a Python that has not come to our first line.
    options = ["--standalone", "--nproc-per-node", str(count), "--signals-to-handle", "SIGQUIT"]
    options += ["--module", "speech_recognition", *arguments]
    try:
        torchrun.run(torchrun.parse_args(options))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        # The first that failed of itself: where another one did, a process ends with 1, or by torchrun's SIGTERM.
        stopped = (-signal.SIGTERM, 128 + signal.SIGTERM)
        in_turn = sorted(error.failures.values(), key=lambda each: each.timestamp)
        statuses: list[int] = [each.exitcode for each in in_turn]
        own = [each for each in statuses if each not in (1, *stopped)] or [each for each in statuses if each == 1]
        status = (own or statuses)[0]
        return status if status >= 0 else 128 - status
    except SignalException as error:
        return 128 + int(error.sigval)
    return 0
