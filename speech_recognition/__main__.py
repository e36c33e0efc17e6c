"""`python -m speech_recognition COMMAND`."""

import os
import sys

# An idle OpenMP thread of torch's spins while it waits for the next loop. On a machine whose cores other
# processes want too, the spinning takes the time from the thread that is waited for: one busy neighbour on two
# cores made training ten times slower, with this bound two and a half times (benchmarks/spin.py). It is read
# when torch is loaded.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from speech_recognition.cli import main

sys.exit(main(sys.argv[1:]))
