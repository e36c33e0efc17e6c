"""The four scenarios of LoadGen on a model: time, verdict and figure of a short run, and the WER beside `evaluate`'s.

    python benchmarks/loadgen.py results/.../checkpoints/best.pt mini_dataset/manifests/test.csv [--precision int8]

Further options go to `benchmark` and `evaluate`. The script measures how much of the processor other processes take
meanwhile, and exits with status 1 if that is over 0.2 cores, if a run is not valid or takes 60 s, or if a WER differs.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._others import Others  # noqa: E402

SCENARIOS = ("SingleStream", "MultiStream", "Offline", "Server")
MOST_OTHERS = 0.2
"""Cores that other processes may use."""
MOST_SECONDS = 60.0


def run(*arguments: str) -> tuple[list[str], int, float, float]:
    """Run a command of this project; return its lines, exit status, seconds, and the cores that others used."""
    command = [sys.executable, "-m", "speech_recognition", *arguments]
    others, begin = Others(), time.perf_counter()
    result = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)
    return result.stdout.splitlines(), result.returncode, time.perf_counter() - begin, others.cores()


def main() -> None:
    """Run every scenario and print a table; exit with status 1 if it may not be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("manifest")
    parsed, options = parser.parse_known_args()
    model, manifest = parsed.model, parsed.manifest
    faults = []
    evaluated, *_ = run("evaluate", model, manifest, *options)
    print("scenario      verdict  seconds  others' cores  WER as evaluate's  figure")
    with tempfile.TemporaryDirectory() as folder:
        for scenario in SCENARIOS:
            asked = ("benchmark", model, manifest, "--scenario", scenario, "--output-dir", folder, *options)
            lines, status, seconds, others = run(*asked)
            answers, *_ = run(*asked, "--mode", "accuracy")
            same = answers[:-1] == evaluated != []
            verdict, figure = ("VALID" if status == 0 else "INVALID"), lines[1] if len(lines) > 1 else "none"
            print(f"{scenario:13} {verdict:8} {seconds:7.1f}  {others:13.2f}  {same!s:17}  {figure}", flush=True)
            faults += [f"{scenario}: {lines[0] if lines else 'no result'}"] * (status != 0)
            faults += [f"{scenario}: took {seconds:.0f} s, must be below {MOST_SECONDS:.0f} s"] * (
                seconds >= MOST_SECONDS
            )
            faults += [f"{scenario}: its WER is not evaluate's"] * (not same)
            faults += [f"{scenario}: other processes used {others:.1f} cores"] * (others > MOST_OTHERS)
    for fault in faults:
        print(f"refused: {fault}")
    raise SystemExit(1 if faults else 0)


if __name__ == "__main__":
    main()
