"""Where the time of an evaluation goes, on the CPU, with the model of a preset and untrained weights.

    python benchmarks/evaluation.py --manifest DATASET/manifests/val.csv [--preset mini] [--precision bf16]
        [--batch-sizes 32,64,180] [--repeats 5]

For each batch size the script prints the median seconds of a whole evaluation, and of its parts alone: reading,
features, model, decoding, scoring. The batch sizes alternate. `saving` is the model as it would be without
inference mode: its recurrent layers then keep what a gradient needs. Both must give the same log-probabilities to
the bit.
"""

import argparse
import dataclasses
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from torch import nn  # noqa: E402

import params  # noqa: E402
from speech_recognition.corpus.manifest import Utterance, read_manifest  # noqa: E402
from speech_recognition.decoding.greedy import greedy  # noqa: E402
from speech_recognition.evaluation import evaluate  # noqa: E402
from speech_recognition.orders import make_batches  # noqa: E402
from speech_recognition.parameters import SAMPLE_RATE, Params  # noqa: E402
from speech_recognition.reading import load_batches  # noqa: E402
from speech_recognition.recognizer import Recognizer, new_recognizer  # noqa: E402
from speech_recognition.runtime.allocator import keep_memory  # noqa: E402
from speech_recognition.scoring import score  # noqa: E402


def make_recognizer(chosen: Params) -> Recognizer:
    """Return an untrained recognizer in evaluation mode, with a last layer loud enough to write texts."""
    recognizer = new_recognizer(chosen, 1, torch.device("cpu"))
    nn.init.normal_(recognizer.model.linear.weight, std=5, generator=torch.Generator().manual_seed(0))
    recognizer.model.eval()
    return recognizer


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that `work` takes, and its result."""
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def measure(recognizer: Recognizer, utterances: Sequence[Utterance]) -> dict[str, float]:
    """Return the seconds of an evaluation and of each part of it. Raises ValueError if a path changes the result."""
    batches = make_batches(range(len(utterances)), [], recognizer.params.data.eval_batch_size)
    seconds: dict[str, float] = {}
    seconds["whole"], _ = timed(lambda: evaluate(recognizer, utterances))
    seconds["reading"], read = timed(lambda: list(load_batches(utterances, batches, recognizer.params.data.workers)))
    seconds["saving"], kept = timed(lambda: [recognizer.log_probs(batch)[0].detach() for batch in read])
    with torch.inference_mode():
        features, model = recognizer.features, recognizer.model
        seconds["features"], made = timed(lambda: [features(each.waveforms, each.lengths) for each in read])
        seconds["model"], found = timed(lambda: [model(*each) for each in made])
        seconds["decoding"], texts = timed(lambda: [text for each in found for text in greedy(*each)])
    seconds["saving"] -= seconds["features"]
    pairs = zip((each.transcript for each in utterances), texts, strict=True)
    seconds["scoring"], _ = timed(lambda: [score(*pair) for pair in pairs])
    if not all(before.equal(after) for before, (after, _) in zip(kept, found, strict=True)):
        raise ValueError("log-probabilities with and without saving for a gradient differ")
    return seconds


def main() -> None:
    """Measure each batch size in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--manifest", type=Path, required=True)
    add("--preset", default="mini", choices=list(params.PRESETS))
    add("--precision", default="fp32", choices=["fp32", "bf16"])
    add("--batch-sizes", default="32")
    add("--repeats", type=int, default=5)
    options = parser.parse_args()
    keep_memory()
    utterances, chosen = read_manifest(options.manifest), params.PRESETS[options.preset]()
    model = dataclasses.replace(chosen.model, precision=options.precision)
    recognizers = {}
    for size in map(int, options.batch_sizes.split(",")):
        data = dataclasses.replace(chosen.data, eval_batch_size=size)
        recognizers[size] = make_recognizer(dataclasses.replace(chosen, model=model, data=data))
    for recognizer in recognizers.values():
        measure(recognizer, utterances)  # the first batches compile the layers and take memory
    rounds = [{size: measure(each, utterances) for size, each in recognizers.items()} for _ in range(options.repeats)]
    audio = sum(each.samples for each in utterances) / SAMPLE_RATE
    print(f"{len(utterances)} utterances, {audio:.0f} s of audio, {options.preset}, {options.precision}")
    for size in recognizers:
        parts = {name: statistics.median(each[size][name] for each in rounds) for name in rounds[0][size]}
        print(f"batch {size}: " + ", ".join(f"{name} {seconds:.3f} s" for name, seconds in parts.items()))


if __name__ == "__main__":
    main()
