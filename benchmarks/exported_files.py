"""Size of a model's exported files, the time to write and to load them, and how far their results are from fp32.

    python benchmarks/exported_files.py [--preset reference]

The model is untrained: its files have the sizes of a trained one. Times are this process's CPU time on one thread (the
median, lowest and highest of five loads), which other processes on the machine change little.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

from speech_recognition import settings  # noqa: E402
from speech_recognition.batches import synthetic_batch  # noqa: E402
from speech_recognition.inference.export import export  # noqa: E402
from speech_recognition.inference.loading import load  # noqa: E402
from speech_recognition.recognizer import new_recognizer  # noqa: E402
from speech_recognition.runs import checkpoint  # noqa: E402

LOADS = 5
"""Times that each file is loaded."""

CPU = torch.device("cpu")


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `call` returns and the CPU seconds that it took."""
    begin = time.process_time()
    result = call()
    return result, time.process_time() - begin


@torch.inference_mode()
def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="reference")
    options = parser.parse_args()
    torch.set_num_threads(1)
    params = settings.preset(options.preset)
    batch = synthetic_batch(2, 48_000, 5)
    print("| file | MB | write (s) | load (s) | largest difference of log-probabilities |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "model.pt"
        weights = new_recognizer(params, 1, CPU).model.state_dict()
        _, seconds = timed(lambda: checkpoint.save(source, checkpoint.TrainingState.of_weights(params, weights)))
        expected, _ = load(source, CPU, "fp32").log_probs(batch)
        for name, precision in (
            ("model.pt", "fp32"),
            ("fp32.safetensors", "fp32"),
            ("int8.safetensors", "int8"),
            ("model.onnx", "fp32"),
        ):
            path = source.with_name(name)
            if path != source:
                _, seconds = timed(lambda: export(source, path, precision))  # type: ignore[arg-type]  # noqa: B023
            loads = [timed(lambda: load(path, CPU)) for _ in range(LOADS)]  # noqa: B023
            times = sorted(each for _, each in loads)
            difference = (loads[0][0].log_probs(batch)[0] - expected).abs().max()
            del loads
            print(
                f"| {name} | {path.stat().st_size / 1e6:.1f} | {seconds:.2f} | {statistics.median(times):.2f}"
                f" ({times[0]:.2f} to {times[-1]:.2f}) | {difference:.1e} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
