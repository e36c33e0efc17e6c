"""Exported files beside their checkpoint: size, time to write and to load, and how far their results are apart.

    python benchmarks/exported_files.py
    python benchmarks/exported_files.py --checkpoint results/walk/checkpoints/best.pt mini_dataset/manifests/test.csv

The first command takes an untrained `mlperf_2018`, whose files have the sizes of a trained one, and noise; the second
takes a trained model and the utterances of manifests, and also counts the texts that differ. Times are this process's
CPU time on one thread (the median, lowest and highest of five loads), which other processes change little.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402

import params  # noqa: E402
from speech_recognition.batches import Batch, synthetic_batch  # noqa: E402
from speech_recognition.corpus.manifest import read_manifest  # noqa: E402
from speech_recognition.decoding.greedy import greedy  # noqa: E402
from speech_recognition.inference.export import export  # noqa: E402
from speech_recognition.inference.loading import load  # noqa: E402
from speech_recognition.inference.quantized import Precision  # noqa: E402
from speech_recognition.orders import make_batches  # noqa: E402
from speech_recognition.reading import load_batches  # noqa: E402
from speech_recognition.recognizer import AnyRecognizer, new_recognizer  # noqa: E402
from speech_recognition.runs import checkpoint  # noqa: E402

LOADS = 5
"""Times that each file is loaded."""

CPU = torch.device("cpu")

FILES: dict[str, Precision] = {"fp32.safetensors": "fp32", "int8.safetensors": "int8", "model.onnx": "fp32"}
"""Files that are exported, with their precision."""


class Output(NamedTuple):
    """What a model makes of all batches."""

    log_probs: list[torch.Tensor]
    """Log-probabilities of each utterance, [t, symbol]."""
    texts: list[str]
    """Text of each utterance."""


@torch.inference_mode()
def output(recognizer: AnyRecognizer, batches: Sequence[Batch]) -> Output:
    """Return what a recognizer makes of `batches`."""
    found = Output([], [])
    for batch in batches:
        log_probs, lengths = recognizer.log_probs(batch)
        found.texts.extend(greedy(log_probs, lengths))
        found.log_probs.extend(log_probs[:length, row] for row, length in enumerate(lengths.tolist()))
    return found


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """Return what `call` returns and the CPU seconds that it took."""
    begin = time.process_time()
    result = call()
    return result, time.process_time() - begin


def row(path: Path, written: float | None, batches: Sequence[Batch], expected: Output) -> None:
    """Print the line of a file, which took `written` seconds to write."""
    times = []
    for _ in range(LOADS):
        recognizer, seconds = timed(lambda: load(path, CPU))
        times.append(seconds)
    found = output(recognizer, batches)
    pairs = zip(found.log_probs, expected.log_probs, strict=True)
    difference = max(float((one - other).abs().max()) for one, other in pairs if len(one))
    differing = sum(one != other for one, other in zip(found.texts, expected.texts, strict=True))
    print(
        f"| {path.name} | {path.stat().st_size / 1e6:.1f} | {'' if written is None else f'{written:.2f}'}"
        f" | {statistics.median(times):.2f} ({min(times):.2f} to {max(times):.2f})"
        f" | {difference:.1e} | {differing} of {len(found.texts)} |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path, nargs="*", help="manifests whose utterances are heard (default: noise)")
    parser.add_argument("--checkpoint", type=Path, help="trained model (default: an untrained mlperf_2018)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    batches: list[Batch] = [synthetic_batch(2, 48_000, 5)]
    if utterances := [each for path in options.manifest for each in read_manifest(path)]:
        order = make_batches(range(len(utterances)), [each.samples for each in utterances], 32)
        batches = [*load_batches(utterances, order, workers=0)]
    with tempfile.TemporaryDirectory() as folder:
        source = options.checkpoint or Path(folder) / "untrained.pt"
        if not options.checkpoint:
            weights = new_recognizer(params.mlperf_2018(), 1, CPU).model.state_dict()
            checkpoint.save(source, checkpoint.TrainingState.of_weights(params.mlperf_2018(), weights))
            del weights
        expected = output(load(source, CPU, "fp32"), batches)
        print("| file | MB | write (s) | load (s) | largest difference of log-probabilities | texts that differ |")
        print("|---|---|---|---|---|---|")
        row(source, None, batches, expected)
        for name, precision in FILES.items():
            path = Path(folder) / name
            begin = time.process_time()
            export(source, path, precision)
            row(path, time.process_time() - begin, batches, expected)


if __name__ == "__main__":
    main()
