"""A test that a run which is killed and resumed many times ends with the same bits as an undisturbed one.

    python benchmarks/kills.py [--kills 100] [--signal KILL|TERM] [--output-dir DIR]

The script trains a tiny model on a part of `mini_dataset` (made by `sh download_dataset.sh mini`) without disturbance.
Then it starts the same run, kills it at a random moment, resumes it with --resume, kills it again, and so on, until
the run has trained to its end; it repeats this until it has killed as often as asked. Each of these runs must have the
same losses and error rates in every epoch, the same weights and the same optimizer state as the undisturbed one.

KILL goes to the run's process alone; the run saves every second step. TERM goes to the run's process group, as
`timeout` or a scheduler sends it, with two processes that read data. If the clock was running, each such run must
leave a checkpoint and a log with a `run_stop`, and print no traceback.
"""

import argparse
import collections
import csv
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from speech_recognition.corpus.manifest import read_manifest, write_manifest  # noqa: E402
from speech_recognition.runs import checkpoint  # noqa: E402

TINY = [
    "model.conv_channels=2",
    "model.rnn_units=16",
    "data.batch_size=8",
    "data.eval_batch_size=4",
    "training.epochs=3",
    "training.target_wer=0",
    "training.save_steps=2",
]
"""Parameters of a run that takes seconds and cannot reach its target."""
PROGRAM = [sys.executable, "-m", "speech_recognition"]
"""Beginning of every command; a test puts a faster program in its place."""
WITH_WORKERS = ["data.workers=2", "training.save_steps=0"]
"""Parameters added for SIGTERM: two processes that get the signal too, and no save within an epoch but the signal's."""
TIMES = {"seconds", "waiting_seconds", "saving_seconds", "audio_rate", "eval_seconds"}
"""Columns of metrics.csv that differ between equal runs."""


def start(folder: Path, manifests: Path, number: signal.Signals, *more: str) -> subprocess.Popen[str]:
    """Start a run that writes into `folder`, in a new process group."""
    options = ["--preset", "mini", "--output-dir", str(folder), "--seed", "1", *more]
    for split in ("train", "val"):
        options += [f"--{split}-manifest", str(manifests / f"{split}.csv")]
    for assignment in TINY + (WITH_WORKERS if number == signal.SIGTERM else []):
        options += ["--set", assignment]
    pipes: dict[str, int] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([*PROGRAM, "train", *options], cwd=ROOT, text=True, start_new_session=True, **pipes)


def outcome(folder: Path) -> tuple[object, ...]:
    """Return a run's metrics.csv without the times, and the digest of its weights and optimizer state."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = [tuple((key, value) for key, value in row.items() if key not in TIMES) for row in csv.DictReader(file)]
    snapshot = checkpoint.read(folder / "checkpoints" / "last.pt")
    return rows, checkpoint.digest([snapshot.model, snapshot.optimizer])


def clock(folder: Path) -> tuple[float, float]:
    """Return the times of run_start and run_stop in the only log of `folder`, in seconds since 1970."""
    events = [
        json.loads(line.removeprefix(":::MLLOG "))
        for line in log_text(folder).splitlines()
        if line.startswith(":::MLLOG")
    ]
    times = {event["key"]: event["time_ms"] / 1000 for event in events}
    return times["run_start"], times["run_stop"]


def log_text(folder: Path) -> str:
    """Return the text of the newest log in `folder`, or "" if there is none."""
    logs = sorted(folder.glob("*.out"), key=lambda path: path.stat().st_mtime)
    return logs[-1].read_text() if logs else ""


def where(folder: Path, log: str) -> str:
    """Return the stage that the run had reached, from the last line of its log."""
    keys = [line.split('"key": "')[1].split('"')[0] for line in log.splitlines() if '"key"' in line]
    partial = any((folder / "checkpoints").glob(".*.partial"))
    return ("saving, " if partial else "") + (f"after {keys[-1]}" if keys else "before the log")


def terminate(process: subprocess.Popen[str], folder: Path, begun: int) -> str:
    """End the run's process group by SIGTERM and return its stage. Raises SystemExit on a fault in how it ended.

    `begun` is the number of logs in `folder` before the run was started.
    """
    place = where(folder, log_text(folder) if len(list(folder.glob("*.out"))) > begun else "")
    os.killpg(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    log = log_text(folder) if len(list(folder.glob("*.out"))) > begun else ""
    faults = {
        "a traceback": "Traceback" in errors,
        f"status {process.returncode}": process.returncode not in (143, -signal.SIGTERM, 3),
        "a log without an end": bool(log) and '"run_stop"' not in log,
        "nothing saved": '"run_start"' in log and "saved: " not in errors and not is_whole(folder),
    }
    if any(faults.values()):
        raise SystemExit(f"{', '.join(name for name in faults if faults[name])}, {place}:\n{errors}")
    return place


def is_whole(folder: Path) -> bool:
    """Return whether the newest checkpoint is that of the last epoch, which is saved after the clock has stopped."""
    path = folder / "checkpoints" / "last.pt"
    if not path.exists():
        return False
    snapshot = checkpoint.read(path)
    return snapshot.evaluated_epoch == snapshot.params.training.epochs


def kill(process: subprocess.Popen[str], folder: Path) -> str:
    """End the run by SIGKILL and return its stage."""
    process.kill()
    process.communicate()
    return where(folder, log_text(folder))


def disturbed(folder: Path, manifests: Path, number: signal.Signals, moments: Iterator[float]) -> Iterator[str]:
    """Train in `folder` to the end, killing and resuming the run at each of `moments`; yield its stage at each kill.

    A moment counts seconds from run_start; the absolute value of a negative one counts from the log's beginning.
    """
    while True:
        begun = len(list(folder.glob("*.out")))
        process = start(folder, manifests, number, "--resume")
        moment = next(moments, None)
        if moment is not None:
            key = '"run_start"' if moment >= 0 else '"seed"'
            while process.poll() is None and not (len(list(folder.glob("*.out"))) > begun and key in log_text(folder)):
                time.sleep(0.01)
        try:
            _, errors = process.communicate(timeout=None if moment is None else abs(moment))
        except subprocess.TimeoutExpired:
            yield terminate(process, folder, begun) if number == signal.SIGTERM else kill(process, folder)
            continue
        if process.returncode != 3:  # the end of training without the target, which TINY makes unreachable
            raise SystemExit(f"a run ended with status {process.returncode}:\n{errors}")
        return


def main() -> None:
    """Kill, compare and print the counts; exit with status 1 if any run ended differently."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--signal", choices=["KILL", "TERM"], default="KILL")
    parser.add_argument("--output-dir", type=Path, default=ROOT / "results" / "kills")
    options = parser.parse_args()
    output, number = options.output_dir, signal.Signals[f"SIG{options.signal}"]
    shutil.rmtree(output, ignore_errors=True)
    for split, count in (("train", 96), ("val", 32)):
        utterances = read_manifest(ROOT / "mini_dataset" / "manifests" / f"{split}.csv")
        write_manifest(output / f"{split}.csv", utterances[:count])

    begin = time.time()
    start(output / "undisturbed", output, number).communicate()
    wanted, (first, last) = outcome(output / "undisturbed"), clock(output / "undisturbed")
    print(f"undisturbed: the clock runs from second {first - begin:.1f} to {last - begin:.1f}", flush=True)

    # Draw most moments from the timed part; starting before it and the report after it take longer than the training.
    length = last - first
    moments = (random.uniform(-0.1 * length, 1.1 * length) for _ in itertools.count())
    kills: collections.Counter[str] = collections.Counter()
    ends = same = 0
    folder = output / "killed"
    while kills.total() < options.kills:
        for place in disturbed(folder, output, number, itertools.islice(moments, options.kills - kills.total())):
            kills[place] += 1
        ends += 1
        same += outcome(folder) == wanted
        shutil.rmtree(folder)
    for place, count in kills.most_common():
        print(f"  SIG{options.signal} {place}: {count}")
    print(f"{kills.total()} kills, {ends} runs ended, {same} of them to the same bits as the undisturbed one")
    sys.exit(same != ends)


if __name__ == "__main__":
    main()
