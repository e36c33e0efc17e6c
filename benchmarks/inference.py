"""Inference on the CPU at batch 1: real-time factor, latency and memory of the reference, and the accuracy of `mini`.

    python benchmarks/inference.py [--repeats 3] [--threads 1 2] [--forms fp32 bf16 int8 onnx] [--utterances 25]
    python benchmarks/inference.py --wer MODEL MANIFEST...

The first command makes an untrained `reference` and computes utterances of noise whose lengths are spread like those
of LibriSpeech's test-clean: the time does not depend on what is said. The forms take turns, each in a new process. For
each form the script prints the seconds of audio computed in a second (median, lowest and highest round), its ratio to
fp32 in the same round, the seconds of audio computed in a second of processor time of all threads together, the 50th,
90th and 99th percentile of the latency in seconds, and the peak memory with the loading. It exits with status 1 if a
form is slower than its bar, or if other processes used more than 0.1 cores: then only the figures by processor time
say something, and little.

The second prints the WER of a trained model in every precision at batch sizes 1 and 32, and how many texts differ from
fp32 and between the batch sizes. It exits with status 1 if a WER is over 0.1 away from fp32's, or if a text depends on
its batch.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as in __main__; OpenMP reads it when torch is imported

from benchmarks._others import MOST_CORES, Others  # noqa: E402

if TYPE_CHECKING:
    from speech_recognition.evaluation import Evaluation

FORMS = ("fp32", "bf16", "int8", "onnx")
"""The precisions, and ONNX Runtime in float32."""
BARS = {("int8", 1): 10.0, ("int8", 2): 15.0, ("bf16", 2): 5.0, ("fp32", 2): 2.0}
"""Least seconds of audio in a second, by form and threads."""
MOST_P99 = 2.5
"""Longest 99th percentile of the latency of int8 on two threads, in seconds."""
MOST_WER = 0.1
"""Largest difference from the WER of fp32, in percent."""


def test_clean_lengths(count: int) -> list[int]:
    """Return ascending lengths in samples at evenly spaced quantiles, 1 to 99%, of a fit to LibriSpeech's test-clean.

    Its 2,620 utterances last 1.3 to 35 s, 7.4 s in the mean: a logarithmic normal distribution with a median of 6.1 s.
    """
    normal = statistics.NormalDist(math.log(6.07), 0.63)
    quantiles = (0.01 + 0.98 * place / (count - 1) for place in range(count))
    return [round(16_000 * min(35.0, max(1.3, math.exp(normal.inv_cdf(each))))) for each in quantiles]


def measure(model: Path, form: str, threads: int, count: int) -> None:
    """Print each utterance's latency, the processor time of all, in seconds, and the peak memory in bytes, as JSON."""
    import torch

    from speech_recognition.batches import synthetic_batch
    from speech_recognition.inference.latency import timed
    from speech_recognition.inference.loading import load
    from speech_recognition.runtime.allocator import keep_memory

    keep_memory()
    torch.set_num_threads(threads)
    recognizer = load(model, torch.device("cpu"), None if form == "onnx" else form)
    batches = [synthetic_batch(1, samples, 1) for samples in test_clean_lengths(count)]
    for batch in (batches[-1], batches[0], batches[count // 2]):
        recognizer.transcribe(batch)
    begin = time.process_time()
    latencies = [timed(recognizer, batch)[1] for batch in batches]
    busy = time.process_time() - begin
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"latencies": latencies, "busy": busy, "peak": peak}))


def make_models(folder: Path, forms: Sequence[str]) -> dict[str, Path]:
    """Write the untrained `reference` as a checkpoint, and as an ONNX file if that is asked for."""
    import torch

    import params
    from speech_recognition import settings
    from speech_recognition.recognizer import new_recognizer
    from speech_recognition.runs import checkpoint

    chosen = settings.apply(params.reference(), ["model.precision=fp32"])
    weights = new_recognizer(chosen, 1, torch.device("cpu")).model.state_dict()
    state = checkpoint.TrainingState(
        params=chosen, seed=1, train_set="", val_set="", tally={}, metrics=[], model=weights, optimizer={}
    )
    checkpoint.save(folder / "reference.pt", state)
    if "onnx" in forms:
        command = [sys.executable, "-m", "speech_recognition", "export", "reference.pt", "--output", "reference.onnx"]
        subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)
    return {form: folder / ("reference.onnx" if form == "onnx" else "reference.pt") for form in forms}


def run(model: Path, form: str, threads: int, count: int) -> dict[str, float]:
    """Measure a form in a new process and return its figures, with the cores that other processes used."""
    others = Others()
    words = ["--measure", str(model), form, str(threads), str(count)]
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    result = subprocess.run([sys.executable, __file__, *words], env=environment, stdout=subprocess.PIPE, check=True)
    figures = json.loads(result.stdout)
    audio = sum(test_clean_lengths(count)) / 16_000
    ordered = sorted(figures["latencies"])
    shares = {f"p{share}": ordered[math.ceil(share / 100 * count) - 1] for share in (50, 90, 99)}
    factors = {"factor": audio / sum(ordered), "by_processor": audio / figures["busy"]}
    return factors | shares | {"peak": figures["peak"], "others": others.cores()}


def compare(options: argparse.Namespace) -> list[str]:
    """Measure the forms in turn, print a table, and return what is wrong with the figures."""
    rounds: dict[tuple[str, int], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = make_models(Path(folder), options.forms)
        for _ in range(options.repeats):
            for threads in options.threads:
                for form in options.forms:
                    figures = run(models[form], form, threads, options.utterances)
                    rounds.setdefault((form, threads), []).append(figures)
    print("form, threads: times real time (lowest to highest), ratio to fp32 (lowest to highest), times real time by")
    print("    processor time (lowest to highest), p50, p90, p99, memory, cores of other processes")
    faults = []
    for (form, threads), runs in rounds.items():
        factors = [each["factor"] for each in runs]
        base = rounds.get(("fp32", threads), runs)
        ratios = [own / other["factor"] for own, other in zip(factors, base, strict=True)]
        p50, p90, p99 = (statistics.median(each[share] for each in runs) for share in ("p50", "p90", "p99"))
        bar, others = BARS.get((form, threads), 0.0), max(each["others"] for each in runs)
        by_processor = spread([each["by_processor"] for each in runs])
        print(
            f"{form}, {threads}: {spread(factors)}, {spread(ratios)}, {by_processor},"
            f" {p50:.2f} s, {p90:.2f} s, {p99:.2f} s, {max(each['peak'] for each in runs) / 1e6:.0f} MB, {others:.2f}"
        )
        if statistics.median(factors) < bar:
            faults.append(f"{form}, {threads}: below {bar:g} times real time")
        if (form, threads) == ("int8", 2) and p99 > MOST_P99:
            faults.append(f"{form}, {threads}: p99 above {MOST_P99:g} s")
        if others > MOST_CORES:
            faults.append(f"{form}, {threads}: refused, other processes used up to {others:.2f} cores")
    return faults


def spread(values: Sequence[float]) -> str:
    """Return the median, the lowest and the highest of some values."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def compare_wer(model: Path, manifests: Sequence[str]) -> list[str]:
    """Print the WER of every precision at two batch sizes, and return what is wrong."""
    import dataclasses

    import torch

    from speech_recognition.corpus.manifest import read_manifest
    from speech_recognition.evaluation import evaluate
    from speech_recognition.inference.loading import load

    utterances = [utterance for path in manifests for utterance in read_manifest(Path(path))]
    results: dict[tuple[str, int], Evaluation] = {}
    faults = []
    for form in ("fp32", "bf16", "int8"):
        recognizer = load(model, torch.device("cpu"), form)
        for size in (1, 32):
            data = dataclasses.replace(recognizer.params.data, eval_batch_size=size, workers=0)
            chosen = dataclasses.replace(recognizer.params, data=data)
            results[form, size] = evaluate(dataclasses.replace(recognizer, params=chosen), utterances)
        result, exact = results[form, 1], results["fp32", 1]
        changed, by_batch = differing(result, exact), differing(result, results[form, 32])
        print(f"{form}: {result.total}; texts that differ from fp32: {changed}, between batch sizes: {by_batch}")
        if abs(result.total.wer - exact.total.wer) > MOST_WER:
            faults.append(f"{form}: its WER is over {MOST_WER} away from that of fp32")
        if by_batch:
            faults.append(f"{form}: {by_batch} texts depend on the batch")
    return faults


def differing(one: "Evaluation", other: "Evaluation") -> int:
    """Return the number of utterances with different texts."""
    return sum(a != b for a, b in zip(one.hypotheses, other.hypotheses, strict=True))


def main() -> None:
    """Compare speed, or accuracy; exit with status 1 if a figure is over its bar or may not be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--repeats", type=int, default=3)
    add("--threads", type=int, nargs="+", default=[1, 2])
    add("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    add("--utterances", type=int, default=25)
    add("--wer", nargs="+", metavar="FILE", help="a trained model, and manifests")
    add("--measure", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        model, form, threads, count = options.measure
        return measure(Path(model), form, int(threads), int(count))
    faults = compare_wer(Path(options.wer[0]), options.wer[1:]) if options.wer else compare(options)
    for fault in faults:
        print(f"fault: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
