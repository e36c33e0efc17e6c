"""A test that the embedded benchmark needs audio and new voices: can a model pass it without them?

    python benchmarks/honesty.py [--output-dir DIR]

The script prints three figures on `mini_dataset`, which `sh download_dataset.sh mini` makes:

- the WER of the untrained model;
- the WER of a model trained for all epochs on shuffled transcripts: every training utterance has the text of a
  different one of about the same length;
- the WERs of a model trained without every twelfth training utterance: on those utterances (known speakers, new
  sentences), and on val and test (new speakers).
"""

import argparse
import csv
import dataclasses
import random
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from speech_recognition.corpus.manifest import Utterance, read_manifest, write_manifest  # noqa: E402

DATASET = ROOT / "mini_dataset"
"""Folder of the embedded corpus."""
BLOCK = 50
"""Number of neighbours in length order among which transcripts are shuffled, so that CTC can still align them."""


def train(folder: Path, *options: str) -> list[float]:
    """Train into `folder` with seed 1 and return the WER of each evaluation. Raises SystemExit if the run fails."""
    shutil.rmtree(folder, ignore_errors=True)
    base = [sys.executable, "-m", "speech_recognition", "train", "--preset", "mini", "--seed", "1"]
    run = subprocess.run([*base, "--output-dir", str(folder), *options], cwd=ROOT, stdout=subprocess.DEVNULL)
    if run.returncode not in (0, 3):
        raise SystemExit(f"{folder}: the training ended with status {run.returncode}")
    with (folder / "metrics.csv").open(newline="") as file:
        return [float(row["wer"]) for row in csv.DictReader(file)]


def evaluate(checkpoint: Path, manifest: Path) -> str:
    """Return the last line that `evaluate` prints, which has the total WER."""
    command = [sys.executable, "-m", "speech_recognition", "evaluate", str(checkpoint), str(manifest)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()[-1]


def shuffled(utterances: list[Utterance]) -> list[Utterance]:
    """Return the same recordings, each with the transcript of a different one of its block."""
    draw, result = random.Random(1), []
    for start in range(0, len(utterances), BLOCK):
        block = utterances[start : start + BLOCK]
        shift = draw.randrange(1, len(block))
        texts = [utterance.transcript for utterance in block[shift:] + block[:shift]]
        result += [dataclasses.replace(u, transcript=text) for u, text in zip(block, texts, strict=True)]
    return result


def main() -> None:
    """Train the two models and print a line for each figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output-dir", type=Path, default=ROOT / "results" / "honesty")
    output = parser.parse_args().output_dir
    utterances = read_manifest(DATASET / "manifests" / "train.csv")
    output.mkdir(parents=True, exist_ok=True)
    held_out = output / "held_out.csv"
    write_manifest(output / "kept.csv", [u for i, u in enumerate(utterances) if i % 12 != 0])
    write_manifest(held_out, utterances[::12])
    write_manifest(output / "shuffled.csv", shuffled(utterances))

    kept = ["--train-manifest", str(output / "kept.csv"), "--set", "training.evaluate_first=true"]
    rates = train(output / "kept", *kept)
    print(f"untrained: WER {rates[0]:.2f}; trained: {', '.join(f'{rate:.2f}' for rate in rates[1:])}", flush=True)
    for title, manifest in (
        ("seen speakers, unseen sentences", held_out),
        ("unseen speakers (val)", DATASET / "manifests" / "val.csv"),
        ("unseen speakers (test)", DATASET / "manifests" / "test.csv"),
    ):
        print(f"{title}: {evaluate(output / 'kept' / 'checkpoints' / 'best.pt', manifest)}", flush=True)

    rates = train(output / "shuffled", "--train-manifest", str(output / "shuffled.csv"))
    print(f"shuffled transcripts: WER {', '.join(f'{rate:.2f}' for rate in rates)}")


if __name__ == "__main__":
    main()
