"""Speed of training steps on made-up waveforms with LibriSpeech's lengths.

    python benchmarks/throughput.py --preset reference --precision bf16 --batch-size 256 [--device cuda] [--steps 20]
    python benchmarks/throughput.py --sweep [fp32:8 tf32:128 bf16:16,32,64,128,256] [--json sweep.jsonl]
    python benchmarks/throughput.py --loader [2 4 8 16]
    python benchmarks/throughput.py --micro
    python benchmarks/throughput.py --compare [--repeats 5]

The first command measures a preset: audio hours per hour, the time of a step, the share of the time spent waiting for
data, padding, memory, TFLOP/s, and their share of the device's peak (from NVIDIA's data sheets, or `--peak-tflops`).
Useful TFLOP/s leave padding out. A step is cold if its batch's shape is new to the run, and warm otherwise. The
waveforms are noise in host memory with lengths of 0.8 to 29.7 s (mean 12.3 s), in batches of similar length whatever
the preset's order. `--json FILE` adds the figures to a file, a line of JSON for each row.

`--sweep` measures precisions and batch sizes, each in a new process: one that runs out of memory leaves the others
alone. `--loader` reads the batches without a model, with each number of worker processes. `--micro` prints the type
that a recurrent layer returns under autocast to bfloat16, and the time of three layers in one call and in three.
docs/GPU.md has the order for the first hour on a GPU. A profile of training steps is
`python -m speech_recognition profile` (docs/PROFILING.md).

`--compare` measures forms of one model on the CPU: the package's own, the same with one part changed, and a plain form
of torch's packed GRU and BatchNorm. The model has 2 convolutions of 32 channels and 3 bidirectional GRUs of 256 units;
a step has 16 utterances of 3 to 12 s. The forms run alternately, each in a new process, and the script prints each
form's rate and its ratio to the plain form.
"""

import argparse
import dataclasses
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as in __main__; OpenMP reads it when torch is imported

import params  # noqa: E402
from benchmarks._forms import compare, measure_form  # noqa: E402
from benchmarks._steps import add_line, measure_loader, measure_preset, micro  # noqa: E402
from benchmarks._sweep import SWEEP, sweep  # noqa: E402
from speech_recognition.runtime.allocator import keep_memory  # noqa: E402
from speech_recognition.runtime.devices import choose_device  # noqa: E402
from speech_recognition.training.prepare import resolve_precision  # noqa: E402


def read_options() -> argparse.Namespace:
    """Return the words of the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--preset", default="reference", choices=list(params.PRESETS))
    add("--precision", choices=["fp32", "tf32", "bf16"])
    add("--batch-size", type=int)
    add("--device", default="auto")
    add("--steps", type=int, default=5)
    add("--workers", type=int, default=2)
    add("--units", type=int, help="units of a recurrent layer, for a trial on a small machine")
    add("--peak-tflops", type=float, default=0.0, help="peak TFLOP/s of the device in this precision")
    add("--json", type=Path, metavar="FILE", help="file to which each row is added")
    add("--sweep", nargs="*", metavar="PRECISION:SIZES", help=f"default: {' '.join(SWEEP)}")
    add("--loader", nargs="*", type=int, metavar="WORKERS", help="default: 2 4 8 16")
    add("--micro", action="store_true")
    add("--compare", action="store_true")
    add("--repeats", type=int, default=5)
    for name in ("--form", "--plain", "--give-memory-back"):
        add(name, action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    """Run what the options ask for."""
    options = read_options()
    if options.compare:
        compare(options.repeats, options.steps)
        return 0
    if options.sweep is not None:
        return sweep(options.sweep or SWEEP, options)
    if not (options.give_memory_back or options.plain):
        keep_memory()
    if options.form:
        measure_form(options)
        return 0
    chosen, device = params.PRESETS[options.preset](), choose_device(options.device)
    model = dataclasses.replace(
        chosen.model,
        precision=options.precision or chosen.model.precision,
        rnn_units=options.units or chosen.model.rnn_units,
    )
    data = dataclasses.replace(chosen.data, batch_size=options.batch_size or chosen.data.batch_size)
    chosen = resolve_precision(dataclasses.replace(chosen, model=model, data=data), device, None)
    if options.micro:
        rows = [micro(chosen, device)]
    elif options.loader is not None:
        rows = [measure_loader(chosen, workers, options.steps) for workers in options.loader or (2, 4, 8, 16)]
    else:
        rows = [measure_preset(chosen, device, options.steps, options.workers, options.peak_tflops)]
    for row in rows:
        print(", ".join(f"{name} {value}" for name, value in row.items()))
        add_line(options.json, row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
