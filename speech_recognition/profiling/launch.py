"""Command lines that run a window of training steps under nsys or ncu."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from speech_recognition.errors import InputError
from speech_recognition.profiling.ncu import DURATION, UTILISATION

_PRODUCTS = {"nsys": "NVIDIA Nsight Systems", "ncu": "NVIDIA Nsight Compute"}


def find(tool: str) -> str:
    """Return the path of nsys or ncu. Raises InputError, which says what to install, if it is not on PATH."""
    found = shutil.which(tool)
    if not found:
        raise InputError(
            f"profile {tool}: {tool} is not on PATH; install {_PRODUCTS[tool]}, which is part of the CUDA toolkit, or"
            " use profile torch, which needs neither"
        )
    return found


def nsys_command(nsys: str, path: Path, child: Sequence[str]) -> list[str]:
    """Return the command that records a timeline of `child` in `path`, whose name ends in .nsys-rep."""
    return [
        nsys,
        "profile",
        "--trace=cuda,nvtx,cudnn,cublas,osrt",
        "--capture-range=cudaProfilerApi",  # the window alone: `captured_range` starts and stops it
        "--capture-range-end=stop",
        "--force-overwrite=true",
        f"--output={path.with_suffix('')}",  # nsys adds .nsys-rep
        *child,
    ]


def ncu_command(ncu: str, path: Path, child: Sequence[str]) -> list[str]:
    """Return the command that writes a table of the kernels of `child` to `path`, with what `read_ncu` reads."""
    return [
        ncu,
        *("--profile-from-start", "off"),  # `captured_range` starts and stops it
        *("--target-processes", "application-only"),  # the processes that read data have no kernels
        "--nvtx",
        "--csv",
        *("--page", "raw"),
        *("--print-units", "base"),
        *("--metrics", ",".join([DURATION, *UTILISATION.values()])),
        *("--log-file", str(path)),
        *child,
    ]


def own_command(arguments: Sequence[str]) -> list[str]:
    """Return the command line of a command of this program."""
    return [sys.executable, "-m", "speech_recognition", *arguments]


def become(command: Sequence[str]) -> NoReturn:
    """Replace this process by a command: signals and exit status are then the command's."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], list(command))
