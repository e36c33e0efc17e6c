"""The time of a `mini` training step with and without a limit on OpenMP's busy waiting (GOMP_SPINCOUNT).

    python benchmarks/spin.py [--repeats 5]

Each measurement runs in a new process, since OpenMP reads its settings once, and the two settings alternate. The
script prints the median step of each setting and the median, lowest and highest ratio of the pairs: first on the
machine as it is, then beside a busy process.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STEPS = 10
"""Training steps of a measurement, after two that are not counted."""


def measure() -> None:
    """Print the median time in milliseconds of a step on 16 utterances of 2.1 s."""
    import torch

    import params
    from speech_recognition.augment import plain
    from speech_recognition.batches import Batch
    from speech_recognition.features import Features
    from speech_recognition.model import build_model
    from speech_recognition.parameters import SAMPLE_RATE
    from speech_recognition.training.optimizers import build_optimizer
    from speech_recognition.training.step import training_step

    chosen = params.mini()
    features, model = Features(chosen.features), build_model(chosen.model, chosen.features.bins, seed=0)
    optimizer = build_optimizer(chosen.optimizer, model)
    size, samples = chosen.data.batch_size, round(2.1 * SAMPLE_RATE)
    batch = Batch(
        waveforms=torch.randint(-8000, 8000, (size, samples), dtype=torch.int16),
        lengths=torch.full((size,), samples),
        targets=torch.randint(1, 29, (size, 25)),
        target_lengths=torch.full((size,), 25),
        indices=torch.arange(size),
    )
    times = []
    for _ in range(STEPS + 2):
        begin = time.perf_counter()
        training_step(model, plain(features), optimizer, chosen.optimizer.clip_norm, [batch])
        times.append(time.perf_counter() - begin)
    print(1000 * statistics.median(times[2:]))


def step_time(bounded: bool) -> float:
    """Return the median time of a step in a new process, in milliseconds."""
    environment = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
    environment |= {"PYTHONPATH": str(ROOT)} | ({"GOMP_SPINCOUNT": "1000"} if bounded else {})
    command = [sys.executable, __file__, "--measure"]
    return float(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


@contextmanager
def busy_neighbour() -> Iterator[None]:
    """Keep one core busy with a second process while the block runs."""
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()


def compare(title: str, repeats: int) -> None:
    """Measure both settings alternately and print their times and ratio."""
    pairs = [(step_time(bounded=True), step_time(bounded=False)) for _ in range(repeats)]
    bounded, free = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratios = sorted(free / bounded for bounded, free in pairs)
    print(
        f"{title}: bounded {bounded:.0f} ms, unbounded {free:.0f} ms,"
        f" ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})",
        flush=True,
    )


def main() -> None:
    """Compare on the machine as it is, then beside a busy process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--measure", action="store_true", help="measure this process alone")
    options = parser.parse_args()
    if options.measure:
        measure()
        return
    compare("as it is", options.repeats)
    with busy_neighbour():
        compare("beside a busy process", options.repeats)


if __name__ == "__main__":
    main()
