"""Time that `mini` takes from run_start to run_stop, here and in a different checkout, in turns.

    python benchmarks/time_to_target.py OTHER [--seeds 10] [--output-dir DIR]

OTHER is a checkout of a different commit, such as one that `git worktree add OTHER 671c643` makes. For each seed the
script runs `sh run_and_time.sh mini` in OTHER and here, and prints the seconds and epochs of both, their ratio, and the
cores that other processes used meanwhile. The last lines have the ratio of the sums, and the range of the ratios.
"""

import argparse
import csv
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._others import Others  # noqa: E402


def run(checkout: Path, seed: int, folder: Path) -> tuple[int, int]:
    """Return the seconds from run_start to run_stop and the epochs of a run of `mini`, also if it misses the target."""
    command = ["sh", str(checkout / "run_and_time.sh"), "mini", "--seed", str(seed), "--output-dir", str(folder)]
    # The package that is imported must be the checkout's own, whatever the environment has installed.
    environment = os.environ | {"PYTHON": sys.executable, "PYTHONPATH": str(checkout), "PYTHONSAFEPATH": "1"}
    result = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
    if result.returncode not in (0, 3):
        raise SystemExit(f"{checkout}, seed {seed}: ended with status {result.returncode}")
    line = next(line for line in result.stdout.splitlines() if line.startswith("RESULT,"))
    with (folder / "metrics.csv").open(newline="") as file:
        return int(line.split(",")[3]), len(list(csv.DictReader(file)))


def main() -> None:
    """Run both in turns and print a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path, metavar="OTHER")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--output-dir", type=Path, default=ROOT / "results" / "time_to_target")
    options = parser.parse_args()
    print("| seed | there: s, epochs | here: s, epochs | ratio | cores of others |\n|---|---|---|---|---|")
    rows = []
    for seed in range(1, options.seeds + 1):
        others = Others()
        there = run(options.other.resolve(), seed, options.output_dir / f"there_{seed}")
        here = run(ROOT, seed, options.output_dir / f"here_{seed}")
        rows.append((there[0], here[0]))
        cells = f"{there[0]}, {there[1]} | {here[0]}, {here[1]} | {here[0] / there[0]:.2f} | {others.cores():.2f}"
        print(f"| {seed} | {cells} |", flush=True)
    ratios = [here / there for there, here in rows]
    print(f"ratio of the sums: {sum(here for _, here in rows) / sum(there for there, _ in rows):.2f}")
    print(f"ratios: {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
