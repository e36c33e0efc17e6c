"""The program: `python -m speech_recognition COMMAND`, or `deepspeech2 COMMAND` where the package is installed."""

import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).absolute().parent.parent
"""Folder above the package: the repository's root, or site-packages where the package is installed."""

VENV = ROOT / ".venv"
"""Environment that the scripts make."""

GPUS = Path("/dev/nvidiactl")
"""File that exists where NVIDIA's driver runs."""

ALLOCATION = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")
"""Variables for torch's memory on a GPU: the name since torch 2.9, and the older one."""


def refuse(message: str) -> NoReturn:
    """Print in one line what is wrong with this Python, and exit with status 2."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)  # ExitStatus.BAD_INPUT, which a Python of a different version may not be able to import


if sys.version_info[:2] not in ((3, 11), (3, 12)):  # before any import that an older version cannot parse
    refuse(
        f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}, must be 3.11 or 3.12:"
        " set PYTHON to one of these, or unset it, and the scripts find one"
    )

from speech_recognition.runtime import parenthood, signals  # noqa: E402


def _run() -> int:
    """Run the command that was typed and return its exit status."""
    signals.handle()
    if "TORCHELASTIC_RUN_ID" in os.environ:  # else the processes of a torchrun that is killed would go on training
        parenthood.end_with_parent(os.getppid())

    # An idle OpenMP thread of torch spins while it waits for the next loop. If other processes want the same cores,
    # spinning takes time from the thread that it waits for. This bound costs little where nothing else runs
    # (benchmarks/spin.py has the figures). torch reads it when it is loaded.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    # Every batch has a length of its own, and blocks of a thousand sizes would leave a GPU's memory in pieces. Segments
    # that grow have no pieces. A user's own settings stay.
    if GPUS.exists() and not any(name in os.environ for name in ALLOCATION):
        os.environ[ALLOCATION[0]] = "expandable_segments:True"

    try:
        from speech_recognition.cli import main, mend_streams

        mend_streams()
        return main(sys.argv[1:])
    except ModuleNotFoundError as error:
        if (VENV / "complete").exists() and VENV.samefile(sys.prefix):  # made by the scripts
            refuse(
                f"{VENV} lacks the package {error.name}: remove {VENV} and unset PYTHON, and the scripts make it again"
            )
        refuse(
            f"{sys.executable} lacks the package {error.name}: install {ROOT / 'requirements.lock'} into it, or"
            " deactivate its environment and unset PYTHON, and the scripts make their own"
        )
    finally:
        signals.let_go()


def installed() -> int:
    """Run the console command `deepspeech2` and return its exit status."""
    os.environ["PYTHONSAFEPATH"] = "1"  # for the processes it starts: a params.py in the caller's folder is not ours
    return _run()


if __name__ == "__main__":
    sys.exit(_run())
