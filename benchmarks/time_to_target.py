"""Time that `mini` takes from run_start to run_stop, here and in other checkouts, in turns.

    python benchmarks/time_to_target.py OTHER... [--seeds 10] [--output-dir DIR]

OTHER is a checkout of a different commit, such as one that `git worktree add OTHER 671c643` makes. For each seed the
script runs `sh run_and_time.sh mini` in every OTHER and here. It prints the seconds and epochs of each, the time here
divided by that in each OTHER, and the cores that other processes used meanwhile. A line for each OTHER at the end has
the ratio of the total times and the range of the seeds' ratios.
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
    """Run all checkouts in turns and print a row for each seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("others", type=Path, nargs="+", metavar="OTHER")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--output-dir", type=Path, default=ROOT / "results" / "time_to_target")
    options = parser.parse_args()
    checkouts = {other.name: other.resolve() for other in options.others} | {"here": ROOT}
    names = [f"{name}: s, epochs" for name in checkouts] + [f"of {other.name}" for other in options.others]
    print(f"| seed | {' | '.join(names)} | cores of others |\n|{'---|' * (len(names) + 2)}")
    rows: list[list[int]] = []
    for seed in range(1, options.seeds + 1):
        others = Others()
        runs = [run(checkout, seed, options.output_dir / f"{name}_{seed}") for name, checkout in checkouts.items()]
        rows.append([seconds for seconds, _ in runs])
        cells = [f"{seconds}, {epochs}" for seconds, epochs in runs]
        cells += [f"{rows[-1][-1] / seconds:.2f}" for seconds in rows[-1][:-1]]
        print(f"| {seed} | {' | '.join(cells)} | {others.cores():.2f} |", flush=True)
    for place, other in enumerate(options.others):
        ratios = [row[-1] / row[place] for row in rows]
        whole = sum(row[-1] for row in rows) / sum(row[place] for row in rows)
        print(f"here of {other.name}: {whole:.2f} in all; {min(ratios):.2f} to {max(ratios):.2f}")


if __name__ == "__main__":
    main()
