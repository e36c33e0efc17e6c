"""`mini` with several seeds, one after another: epochs and minutes to the target.

    python benchmarks/seeds.py [SEEDS] [OUTPUT_DIR]

Runs `sh run_and_time.sh mini --seed N` for N from 1 and prints a Markdown
table. Times are those of the log, from run_start to run_stop. A run whose
results are in OUTPUT_DIR already is not repeated.
"""

import csv
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(seed: int, folder: Path) -> tuple[int, float, float]:
    """Epochs to the target, minutes, and the last WER of one seed. A run that misses the target raises."""
    if not (folder / "metrics.csv").exists():
        command = ["sh", str(ROOT / "run_and_time.sh"), "mini", "--seed", str(seed), "--output-dir", str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    result = next(line for line in (folder / "speech_ds2.out").read_text().splitlines() if line.startswith("RESULT,"))
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return len(rows), int(result.split(",")[3]) / 60, float(rows[-1]["wer"])


def main() -> None:
    """Run the seeds and print the table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    output = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "results" / "seeds"
    print("| seed | epochs | minutes | WER |\n|---|---|---|---|")
    runs = []
    for seed in range(1, seeds + 1):
        runs.append(run(seed, output / f"seed_{seed}"))
        epochs, minutes, wer = runs[-1]
        print(f"| {seed} | {epochs} | {minutes:.1f} | {wer:.2f} |", flush=True)
    epochs_column, minutes_column, _ = zip(*runs, strict=True)
    for name, function in (("min", min), ("mean", statistics.mean), ("max", max)):
        print(f"| {name} | {function(epochs_column):.1f} | {function(minutes_column):.1f} | |")


if __name__ == "__main__":
    main()
