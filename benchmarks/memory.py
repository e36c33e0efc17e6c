"""Peak memory of a training on the CPU, epoch by epoch, on utterances of many lengths.

    python benchmarks/memory.py [--epochs 10] [--steps 95] [--unbounded]

Trains the model of `mini` on noise in batches of 16, shuffled, with lengths from 1.9 to 17.3 s as in Mini LibriSpeech
and a tempo of 0.9 to 1.1, so that no two batches have the same shape. After each epoch it evaluates sixteen batches of
32. An epoch of `small` has 95 steps; ten take 25 minutes on two cores. Prints the peak of each epoch, in GB, and the
ratio of the highest to the second epoch's; exits with status 1 if it is above 1.2.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402

import params  # noqa: E402
from speech_recognition import alphabet  # noqa: E402
from speech_recognition.augment import Augmentation  # noqa: E402
from speech_recognition.batches import Batch, collate  # noqa: E402
from speech_recognition.draws import epoch_draws  # noqa: E402
from speech_recognition.evaluation import do_nothing  # noqa: E402
from speech_recognition.recognizer import new_recognizer  # noqa: E402
from speech_recognition.runtime.allocator import keep_few_kernels, keep_memory, kept_memory  # noqa: E402
from speech_recognition.training.optimizers import build_optimizer  # noqa: E402
from speech_recognition.training.step import training_step  # noqa: E402

MOST_GROWTH = 1.2
"""Bar: highest peak of an epoch over that of the second one."""

EVALUATED = 16
"""Batches that are evaluated after each epoch."""


def batch(draw: np.random.Generator, size: int) -> Batch:
    """Return `size` utterances of noise with the lengths of Mini LibriSpeech: two thirds are near 14 s."""
    long = draw.random(size) < 2 / 3
    seconds = np.where(long, draw.normal(14.4, 1.2, size), draw.uniform(1.9, 14, size)).clip(1.9, 17.3)
    items = []
    for index, each in enumerate(seconds):
        waveform = torch.from_numpy(draw.integers(-3000, 3000, round(16_000 * each), dtype=np.int16))
        items.append((index, waveform, torch.from_numpy(draw.integers(1, len(alphabet.SYMBOLS), round(14 * each)))))
    return collate(items)


def peak() -> float:
    """Return the process's peak memory in GB since the last call."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return int(status["VmHWM"].split()[0]) * 1024 / 1e9


def main() -> int:
    """Train and print the peaks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--epochs", type=int, default=10)
    add("--steps", type=int, default=95)
    add("--unbounded", action="store_true", help="let the kept memory grow without a bound, unlike `train`")
    options = parser.parse_args()
    keep_memory()
    keep_few_kernels()
    after_batch = do_nothing if options.unbounded else kept_memory.after_batch
    chosen = params.mini()
    augmentation = dataclasses.replace(chosen.augmentation, tempo_min=0.9, tempo_max=1.1)
    recognizer = new_recognizer(chosen, 1, torch.device("cpu"))
    augment = Augmentation(augmentation, recognizer.features)
    optimizer = build_optimizer(chosen.optimizer, recognizer.model)
    draw, peaks, seconds = np.random.default_rng(1), list[float](), list[float]()
    for epoch in range(1, options.epochs + 1):
        draws = epoch_draws(augmentation, seed=1, epoch=epoch, utterances=chosen.data.batch_size)
        for _ in range(options.steps):
            part = batch(draw, chosen.data.batch_size)
            begin = time.perf_counter()
            training_step(recognizer.model, partial(augment, draws=draws), optimizer, 5.0, [part])
            after_batch()
            seconds.append(time.perf_counter() - begin)
        recognizer.model.eval()
        for _ in range(EVALUATED):
            with torch.inference_mode():
                recognizer.log_probs(batch(draw, chosen.data.eval_batch_size))
            after_batch()
        recognizer.model.train()
        peaks.append(peak())
        print(f"epoch {epoch}: peak {peaks[-1]:.2f} GB, median step {statistics.median(seconds):.2f} s", flush=True)
        seconds.clear()
    growth = max(peaks[1:]) / peaks[1]
    print(f"highest over the second epoch's: {growth:.2f}")
    return int(growth > MOST_GROWTH)


if __name__ == "__main__":
    sys.exit(main())
