r"""Reference convergence points: the epochs that many runs of `mini` took, at each of several batch sizes.

    python benchmarks/convergence.py RUNS... --threads 1 --output points.json

Each RUNS is a folder made, with one thread, by

    OMP_NUM_THREADS=1 sh run_and_time.sh mini --runs 20 --output-dir RUNS \
        --set data.batch_size=N --set optimizer.learning_rate=R

at one of three batch sizes a factor of two apart; R follows from N by the rule in mlperf/rules/benchmarks.yaml. The
script writes the points in MLPerf's form and prints them as a table with the least mean number of epochs that is
accepted. The number of threads goes into each entry, since it changes the rounding and so the epochs of a seed.
`check-rcp` and `package` read the points in `speech_recognition/mlperf/points/deepspeech2_mini.json`, which this script
has made.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from speech_recognition.mlperf.convergence import closed_faults, points_table, record  # noqa: E402
from speech_recognition.mlperf.log_table import log_table  # noqa: E402
from speech_recognition.runs.series_folder import SeriesFolder  # noqa: E402


def about(log: Path, threads: int) -> dict[str, Any]:
    """Return the creator, date, platform, precision and optimizer values of a run, from its log, and its threads."""
    lines = log_table(log).drop_duplicates("key").set_index("key")
    optimizer = {key: value for key, value in lines["value"].items() if str(key).startswith("opt_")}
    ran = time.gmtime(int(lines.loc["run_start", "time_ms"]) / 1000)
    return {
        "Creator": str(lines.loc["submission_org", "value"]),
        "When": time.strftime("%Y-%m-%d", ran),
        "Platform": str(lines.loc["submission_platform", "value"]),
        "Threads": threads,
        "Precision": str(lines.loc["lowest_numerical_precision_in_linear", "value"]),
        "Hyperparams": optimizer,
    }


def main() -> None:
    """Write the points and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--threads", type=int, required=True, metavar="N", help="threads that each run computed with")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    options = parser.parse_args()
    records = {}
    for folder in options.runs:
        results = SeriesFolder(folder).results()
        if faults := closed_faults(results):
            sys.exit("\n".join([*faults, f"{folder}: reference points are made of closed runs only"]))
        entry = record(results, about(results[0], options.threads))
        records[f"{entry['Benchmark']}_ref_{entry['BS']}"] = entry
    options.output.write_text(json.dumps(records, indent=2) + "\n")
    print(points_table(options.output))


if __name__ == "__main__":
    main()
