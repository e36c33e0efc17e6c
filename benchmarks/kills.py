"""Does a run that is killed again and again end as if it had not been?

    python benchmarks/kills.py [--kills 100] [--output-dir DIR]

A tiny model on a part of `mini_dataset` (as `sh download_dataset.sh mini` makes it) is trained once without a
disturbance. Then the same run is started, killed (SIGKILL) at a random moment, started again with --resume, killed
again, and so on, until it ends; and this from the beginning until there were as many kills as asked for. Every
end is held against the undisturbed one: each epoch's loss and error rates, the weights and the optimizer's state.
"""

import argparse
import collections
import csv
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from speech_recognition.corpus.manifest import read_manifest, write_manifest  # noqa: E402
from speech_recognition.training import checkpoint  # noqa: E402

TINY = [
    "model.conv_channels=2",
    "model.rnn_units=16",
    "data.batch_size=8",
    "data.eval_batch_size=4",
    "training.epochs=3",
    "training.target_wer=0",
    "training.save_steps=2",
]
TIMES = {"seconds", "waiting_seconds", "saving_seconds", "audio_rate", "eval_seconds"}


def start(folder: Path, manifests: Path, *more: str) -> subprocess.Popen[str]:
    """A run into `folder`."""
    options = ["--preset", "mini", "--output-dir", str(folder), *more]
    for split in ("train", "val"):
        options += [f"--{split}-manifest", str(manifests / f"{split}.csv")]
    for assignment in TINY:
        options += ["--set", assignment]
    command = [sys.executable, "-m", "speech_recognition", "train", *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def outcome(folder: Path) -> tuple[object, ...]:
    """What a run has come to: its table without the times, and the digest of weights and optimizer state."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [tuple((key, value) for key, value in row.items() if key not in TIMES) for row in csv.DictReader(file)]
    snapshot = checkpoint.read(folder / "checkpoints" / "last.pt")
    return rows, checkpoint.digest([snapshot.model, snapshot.optimizer])


def where(folder: Path) -> str:
    """What the run was at, by the last line of its newest log."""
    logs = sorted(folder.glob("*.out"), key=lambda path: path.stat().st_mtime)
    keys = [line.split('"key": "')[1].split('"')[0] for line in logs[-1].read_text().splitlines() if '"key"' in line]
    partial = any((folder / "checkpoints").glob(".*.partial"))
    return ("saving, " if partial else "") + (f"after {keys[-1]}" if keys else "before the log")


def main() -> None:
    """Kill, compare, print the counts; exit status 1 if any run ended differently."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--output-dir", type=Path, default=ROOT / "results" / "kills")
    options = parser.parse_args()
    output: Path = options.output_dir
    shutil.rmtree(output, ignore_errors=True)
    for split, count in (("train", 96), ("val", 32)):
        utterances = read_manifest(ROOT / "mini_dataset" / "manifests" / f"{split}.csv")
        write_manifest(output / f"{split}.csv", utterances[:count])

    begin = time.monotonic()
    start(output / "undisturbed", output, "--seed", "1").wait()
    seconds, wanted = time.monotonic() - begin, outcome(output / "undisturbed")
    print(f"undisturbed: {seconds:.1f} s", flush=True)

    kills: collections.Counter[str] = collections.Counter()
    ends = same = 0
    folder = output / "killed"
    while kills.total() < options.kills or folder.exists():
        process = start(folder, output, "--seed", "1", "--resume")
        try:
            # Most of a short run is the start: so most moments lie in the rest.
            wait = random.uniform(0.3, 1.1) * seconds if kills.total() < options.kills else None
            _, errors = process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            kills[where(folder) if list(folder.glob("*.out")) else "before the log"] += 1
            continue
        if process.returncode != 3:
            raise SystemExit(f"a run ended with status {process.returncode}:\n{errors}")
        ends += 1
        same += outcome(folder) == wanted
        shutil.rmtree(folder)
    for place, count in kills.most_common():
        print(f"  killed {place}: {count}")
    print(f"{kills.total()} kills, {ends} runs ended, {same} of them to the same bits as the undisturbed one")
    sys.exit(same != ends)


if __name__ == "__main__":
    main()
