"""Epochs and minutes that `mini` takes to its target, for several seeds.

    python benchmarks/seeds.py [--seeds 10] [--output-dir DIR] [options of train]
    python benchmarks/seeds.py --seeds 3 --output-dir results/bf16 --set model.precision=bf16
    python benchmarks/seeds.py --seeds 3 --output-dir results/two --device cpu --num-gpus 2

The script runs `sh run_and_time.sh mini --seed N` for N = 1, 2, ... and prints a Markdown table. Times are from
run_start to run_stop in the log. A run in DIR that has reached the target is not repeated.
"""

import argparse
import csv
import shutil
import statistics
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(seed: int, folder: Path, more: list[str]) -> tuple[int, float, float]:
    """Return the epochs and minutes to the target and the last WER of one seed.

    Raises CalledProcessError if the run fails or misses the target.
    """
    log = folder / "speech_ds2.out"
    if not (log.exists() and '"status": "success"' in log.read_text()):
        shutil.rmtree(folder, ignore_errors=True)
        command = ["sh", str(ROOT / "run_and_time.sh"), "mini", "--seed", str(seed), "--output-dir", str(folder)]
        subprocess.run([*command, *more], check=True, stdout=subprocess.DEVNULL)
    result = next(line for line in log.read_text().splitlines() if line.startswith("RESULT,"))
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return len(rows), int(result.split(",")[3]) / 60, float(rows[-1]["wer"])


def main() -> None:
    """Run the seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--output-dir", type=Path, default=ROOT / "results" / "seeds")
    options, more = parser.parse_known_args()
    print("| seed | epochs | minutes | WER |\n|---|---|---|---|")
    runs = []
    for seed in range(1, options.seeds + 1):
        runs.append(run(seed, options.output_dir / f"seed_{seed}", more))
        epochs, minutes, wer = runs[-1]
        print(f"| {seed} | {epochs} | {minutes:.1f} | {wer:.2f} |", flush=True)
    epochs_column, minutes_column, _ = zip(*runs, strict=True)
    for name, function in (("min", min), ("mean", statistics.mean), ("max", max)):
        print(f"| {name} | {function(epochs_column):.1f} | {function(minutes_column):.1f} | |")
    if len(runs) > 1:
        shares = [
            100 * statistics.stdev(column) / statistics.mean(column) for column in (epochs_column, minutes_column)
        ]
        print(f"| standard deviation, % of the mean | {shares[0]:.1f} | {shares[1]:.1f} | |")


if __name__ == "__main__":
    main()
