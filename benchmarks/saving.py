"""The time for which training stands still while `reference` is saved: in line, and by the thread that runs use.

    python benchmarks/saving.py [--repeats 5] [--units 2560] [--output-dir DIR]

The state has weights and two moments for each of them, as AdamW keeps them, of a `reference` with --units units in a
recurrent layer. The two ways alternate. For each the script prints the median, lowest and highest time for which the
caller waits, and the time until the checkpoint is on disk. The last line says how much longer a product of matrices,
which stands for training, takes on the same processor cores while the thread writes.
"""

import argparse
import dataclasses
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

import params  # noqa: E402
from speech_recognition.model import build_model  # noqa: E402
from speech_recognition.runs import checkpoint  # noqa: E402
from speech_recognition.runs.checkpoint import TrainingState  # noqa: E402
from speech_recognition.runs.writer import CheckpointWriter  # noqa: E402
from speech_recognition.runtime.allocator import keep_memory  # noqa: E402
from speech_recognition.training.optimizers import build_optimizer  # noqa: E402

SIDE = 512
"""Rows of the matrices whose product stands for training; one takes a few milliseconds."""


def make_state(units: int) -> TrainingState:
    """Return the state of `reference` with `units` units after one step."""
    chosen = params.reference()
    chosen = dataclasses.replace(chosen, model=dataclasses.replace(chosen.model, rnn_units=units))
    model = build_model(chosen.model, chosen.features.bins, seed=1)
    optimizer = build_optimizer(chosen.optimizer, model)
    for weights in model.parameters():
        weights.grad = torch.zeros_like(weights)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    state = TrainingState.of_weights(chosen, model.state_dict())
    return dataclasses.replace(state, optimizer=optimizer.state_dict())


def in_line(path: Path, state: TrainingState) -> tuple[float, float]:
    """Save in line; return the seconds for which the caller waits, twice: the file is then on disk."""
    begin = time.perf_counter()
    checkpoint.save(path, state)
    seconds = time.perf_counter() - begin
    return seconds, seconds


def by_thread(path: Path, state: TrainingState, products: list[float]) -> tuple[float, float]:
    """Save by a thread; return the seconds for which the caller waits, and those until the file is on disk.

    The times of the products that are computed meanwhile are added to `products`.
    """
    begin = time.perf_counter()
    with CheckpointWriter() as writer:
        writer.save(path, state)
        waited = time.perf_counter() - begin
        before = path.stat().st_mtime_ns if path.exists() else 0
        while not path.exists() or path.stat().st_mtime_ns == before:
            products.append(product())
    return waited, time.perf_counter() - begin


def product() -> float:
    """Return the seconds that a product of two matrices takes."""
    begin = time.perf_counter()
    torch.mm(_MATRIX, _MATRIX)
    return time.perf_counter() - begin


_MATRIX = torch.ones(SIDE, SIDE)


def spread(seconds: Sequence[float], unit: str = "s", scale: float = 1.0) -> str:
    """Return the median with the lowest and the highest value."""
    median, low, high = (scale * value for value in (statistics.median(seconds), min(seconds), max(seconds)))
    return f"{median:.2f} ({low:.2f} to {high:.2f}) {unit}"


def main() -> None:
    """Save by both ways in turn and print the times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--units", type=int, default=2560)
    parser.add_argument("--output-dir", type=Path, help="folder on the disk to be measured; the files are removed")
    options = parser.parse_args()
    keep_memory()  # as a run does
    state = make_state(options.units)
    times: dict[str, list[tuple[float, float]]] = {"in line": [], "by a thread": []}
    products: list[float] = []
    with tempfile.TemporaryDirectory(dir=options.output_dir) as folder:
        path = Path(folder) / "last.pt"
        alone = [product() for _ in range(200)]
        for _ in range(options.repeats + 1):
            times["in line"].append(in_line(path, state))
            times["by a thread"].append(by_thread(path, state, products))
        print(f"a checkpoint of {path.stat().st_size / 1e9:.2f} GB, {options.repeats} times each way, in turn")
    for name, pairs in times.items():
        waited, whole = zip(*pairs[1:], strict=True)  # the first of each way also fetches memory from the system
        print(f"{name}: training stands still for {spread(waited)}; on disk after {spread(whole)}")
    print(
        f"a product of matrices: {spread(alone, 'ms', 1000)} alone,"
        f" {spread(products, 'ms', 1000)} while the thread writes"
    )


if __name__ == "__main__":
    main()
