"""`python -m speech_recognition COMMAND`."""

import os
import sys

from speech_recognition import parenthood, signals

signals.handle()
if "TORCHELASTIC_RUN_ID" in os.environ:  # else a torchrun that is killed leaves its processes training
    parenthood.end_with_parent(os.getppid())

# An idle OpenMP thread of torch's spins while it waits for the next loop. On a machine whose cores other
# processes want too, the spinning takes the time from the thread that is waited for; this bound on it costs
# a little where nothing else runs (benchmarks/spin.py has the figures). It is read when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from speech_recognition.cli import main, mend_streams  # noqa: E402

mend_streams()
try:
    status = main(sys.argv[1:])
except ModuleNotFoundError as error:
    print(
        f"error: {sys.executable} lacks the package {error.name}: install requirements.lock, or unset PYTHON",
        file=sys.stderr,
    )
    status = 2
finally:
    signals.let_go()
sys.exit(status)
