"""Reference convergence points: the epochs that many runs of `mini` took, at each of several batch sizes.

    python benchmarks/convergence.py RUNS... --output points.json

Each RUNS is a folder made by `sh run_and_time.sh mini --runs 20 --set data.batch_size=N --output-dir RUNS`. The script
writes the points in MLPerf's form and prints them as a table with the least mean number of epochs that is accepted.
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

from speech_recognition.mlperf.convergence import points_table, record  # noqa: E402
from speech_recognition.mlperf.log_table import log_table  # noqa: E402
from speech_recognition.runs.series_folder import SeriesFolder  # noqa: E402


def about(log: Path) -> dict[str, Any]:
    """Return the creator, date, platform, precision and optimizer values of a run, from its log."""
    lines = log_table(log).drop_duplicates("key").set_index("key")
    optimizer = {key: value for key, value in lines["value"].items() if str(key).startswith("opt_")}
    ran = time.gmtime(int(lines.loc["run_start", "time_ms"]) / 1000)
    return {
        "Creator": str(lines.loc["submission_org", "value"]),
        "When": time.strftime("%Y-%m-%d", ran),
        "Platform": str(lines.loc["submission_platform", "value"]),
        "Precision": str(lines.loc["lowest_numerical_precision_in_linear", "value"]),
        "Hyperparams": optimizer,
    }


def main() -> None:
    """Write the points and print their table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    options = parser.parse_args()
    records = {}
    for folder in options.runs:
        results = SeriesFolder(folder).results()
        entry = record(results, about(results[0]))
        records[f"{entry['Benchmark']}_ref_{entry['BS']}"] = entry
    options.output.write_text(json.dumps(records, indent=2) + "\n")
    print(points_table(options.output))


if __name__ == "__main__":
    main()
