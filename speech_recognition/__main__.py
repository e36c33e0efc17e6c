"""`python -m speech_recognition COMMAND`."""

import os
import sys
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).absolute().parent.parent
VENV = ROOT / ".venv"


def refuse(message: str) -> NoReturn:
    """Say in one line what is wrong with this Python, and end."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


if sys.version_info[:2] not in ((3, 11), (3, 12)):  # before an import that others cannot read
    refuse(
        f"{sys.executable} is Python {sys.version_info[0]}.{sys.version_info[1]}, must be 3.11 or 3.12:"
        " set PYTHON to one of these, or unset it, and the scripts find one"
    )

from speech_recognition.runtime import parenthood, signals  # noqa: E402

signals.handle()
if "TORCHELASTIC_RUN_ID" in os.environ:  # else a torchrun that is killed leaves its processes training
    parenthood.end_with_parent(os.getppid())

# An idle OpenMP thread of torch's spins while it waits for the next loop. On a machine whose cores other
# processes want too, the spinning takes the time from the thread that is waited for; this bound on it costs
# a little where nothing else runs (benchmarks/spin.py has the figures). It is read when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

try:
    from speech_recognition.cli import main, mend_streams

    mend_streams()
    status = main(sys.argv[1:])
except ModuleNotFoundError as error:
    if (VENV / "complete").exists() and VENV.samefile(sys.prefix):  # made by the scripts
        refuse(f"{VENV} lacks the package {error.name}: remove {VENV} and unset PYTHON, and the scripts make it again")
    refuse(
        f"{sys.executable} lacks the package {error.name}: install {ROOT / 'requirements.lock'} into it, or"
        " deactivate its environment and unset PYTHON, and the scripts make their own"
    )
finally:
    signals.let_go()
sys.exit(status)
