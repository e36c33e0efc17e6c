"""Precisions and batch sizes in turn, each in a new process: `throughput.py --sweep` (not a benchmark itself)."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks._steps import add_line

SCRIPT = Path(__file__).with_name("throughput.py")
SWEEP = ["fp32:8", "tf32:128", "bf16:16,32,64,128,256"]
"""Rows of the first hour on a GPU."""


def sweep(rows: Sequence[str], options: argparse.Namespace) -> int:
    """Measure each batch size of each row, such as "bf16:16,32". Returns 1 if one of them failed, else 0."""
    failed = 0
    for precision, sizes in (row.split(":") for row in rows):
        for size in sizes.split(","):
            command = [sys.executable, str(SCRIPT), "--precision", precision, "--batch-size", size]
            for name in ("preset", "device", "steps", "workers", "units", "json"):
                value = getattr(options, name)
                command += [f"--{name}", str(value)] if value is not None else []
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                failed = 1
                error = (done.stderr.strip().splitlines() or ["no message"])[-1]
                print(f"{precision}, batch {size}: failed: {error}", flush=True)
                add_line(options.json, {"precision": precision, "batch": int(size), "error": error})
            else:
                print(done.stdout, end="", flush=True)
    return failed
