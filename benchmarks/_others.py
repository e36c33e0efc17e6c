"""How much of the processor other processes take while a benchmark runs (not a benchmark itself)."""

import os
import time
from pathlib import Path

MOST_CORES = 0.1
"""Cores that other processes may use on average; with more, a measurement of speed is refused."""


class Others:
    """Processor time of the machine less that of this process and of its children that have ended, since the start."""

    def __init__(self) -> None:
        self._begin = self._now()

    def cores(self) -> float:
        """Return the number of cores that other processes have used on average."""
        seconds, machine, own = (now - before for now, before in zip(self._now(), self._begin, strict=True))
        return max(0.0, (machine - own) / seconds)

    @staticmethod
    def _now() -> tuple[float, float, float]:
        """Return the clock, the processor seconds of all processes, and those of this one and its ended children."""
        fields = Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:]
        user, nice, system, _, _, interrupts, soft, stolen = map(int, fields[:8])
        machine = (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")
        return time.perf_counter(), machine, sum(os.times()[:4])
