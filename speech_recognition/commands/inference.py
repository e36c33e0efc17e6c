"""Options that every command of inference has, and the command `test`, which measures latency."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from speech_recognition.commands import ROOT, Commands
from speech_recognition.commands.options import DEVICES, check_output, number, whole
from speech_recognition.errors import ExitStatus, InputError
from speech_recognition.parameters import LIBRISPEECH_FOLDER, MINI_FOLDER
from speech_recognition.runtime.allocator import keep_memory

if TYPE_CHECKING:
    import torch

    from speech_recognition.evaluation import Evaluation
    from speech_recognition.inference.latency import Measurement
    from speech_recognition.recognizer import AnyRecognizer


def add_inference_options(parser: argparse.ArgumentParser) -> None:
    """Add the options `--device`, `--precision` and `--threads`, which `load_model` reads."""
    add = parser.add_argument
    add("--device", default="auto", metavar="NAME", help=DEVICES)
    add(
        "--precision",
        choices=["fp32", "bf16", "int8"],
        help="precision of the products; int8 is the fastest on a CPU (default: that of the training)",
    )
    add(
        "--threads",
        type=whole(1, 1024),
        metavar="N",
        help="CPU threads that compute (default: OMP_NUM_THREADS, or all cores)",
    )


def load_model(path: Path, options: argparse.Namespace) -> "AnyRecognizer":
    """Return the model in `path` as the options of `add_inference_options` ask. Raises InputError as `load` does."""
    from speech_recognition.inference.loading import load

    return load(path, prepare_device(options), options.precision)


def prepare_device(options: argparse.Namespace) -> "torch.device":
    """Return the device of `--device`. Sets this process's number of threads to `--threads`, if that was given."""
    import torch

    from speech_recognition.runtime.devices import choose_device

    keep_memory()
    if options.threads:
        torch.set_num_threads(options.threads)
    return choose_device(options.device)


def print_scores(evaluation: "Evaluation") -> None:
    """Print the error rates of each subset and of all utterances."""
    for name, score in evaluation.by_subset().items():
        print(f"{name}: {score}")
    print(f"all: {evaluation.total}")


_SETS = {"libri": (LIBRISPEECH_FOLDER, "reference"), "mini": (MINI_FOLDER, "mini")}
"""Default folder of each test set's dataset, and the preset whose runs are looked for."""


def add_test(commands: Commands) -> None:
    """Add the command `test`."""
    parser = commands.add_parser(
        "test",
        help="measure latency, throughput and error rates on a test set (script/test.sh)",
        description="Compute a test set in batches on the clock, after five warm-ups, and print WER, CER, latency and"
        " throughput. The clock covers features, transfer, model and decoding.",
    )
    add = parser.add_argument
    add("epoch", help="epoch whose checkpoint is tested, such as 20; or the file of a model")
    add("set", choices=[*_SETS], help="test set: the test split of LibriSpeech or of the embedded corpus")
    add(
        "hold_idx",
        type=whole(0, 10**7, "the normal set"),
        help="row of the test set, from 0, that is repeated for all inputs; -1: the normal set",
    )
    add(
        "hold_sec",
        type=number(0.01, 3600),
        help="number by which latencies are divided, such as the row's seconds; 1: none",
    )
    add("n_trials", type=whole(1, 10**7, "all"), help="number of batches after which to stop; -1: all")
    add("--batch-size", type=whole(1, 128), default=1, metavar="N", help="utterances in a batch, 1 to 128 (default: 1)")
    add(
        "--force-duration",
        type=number(0.01, 3600),
        metavar="SECONDS",
        help="repeat every clip, then cut it to this length; error rates have no meaning then",
    )
    add_inference_options(parser)
    add(
        "--run",
        dest="run_folder",
        type=Path,
        metavar="DIR",
        help="run of EPOCH (default: the newest of preset reference, or mini)",
    )
    add("--data-dir", type=Path, metavar="DIR", help=f"dataset (default: {LIBRISPEECH_FOLDER} or {MINI_FOLDER})")
    add("--output", type=Path, metavar="FILE.csv", help="also write a row for each input")
    parser.set_defaults(run=_test)


def _test(options: argparse.Namespace) -> ExitStatus:
    import torch

    from speech_recognition.corpus.manifest import read_manifest
    from speech_recognition.inference.latency import held, measure, write_inputs
    from speech_recognition.inference.loading import precision_of

    if options.output:
        check_output(options.output)
    path = _checkpoint(options)
    folder = options.data_dir or ROOT / _SETS[options.set][0]
    utterances = held(read_manifest(folder / "manifests" / "test.csv"), options.hold_idx)
    recognizer = load_model(path, options)
    measurement = measure(
        recognizer,
        utterances,
        batch_size=options.batch_size,
        most_batches=options.n_trials,
        hold_seconds=options.hold_sec,
        force_seconds=options.force_duration,
    )
    if options.force_duration:
        print("WER, CER: none, as --force-duration changes the clips")
    else:
        print_scores(measurement.evaluation)
    precision = precision_of(path, recognizer, options.precision)
    print(f"computed on: {recognizer.device}, {torch.get_num_threads()} CPU threads, precision {precision}")
    _print_times(measurement, options)
    if options.output:
        write_inputs(options.output, measurement)
    return ExitStatus.DONE


def _print_times(measurement: "Measurement", options: argparse.Namespace) -> None:
    divided = f", divided by {options.hold_sec:g}" if options.hold_sec != 1 else ""
    print(
        f"latency: mean {measurement.mean:.4f} s, 50th percentile {measurement.percentile(50):.4f} s,"
        f" 99th percentile {measurement.percentile(99):.4f} s"
        f" ({len(measurement.inputs)} inputs in batches of {options.batch_size}{divided})"
    )
    print(
        f"throughput: {measurement.utterances_per_second:.2f} inputs a second,"
        f" {measurement.times_real_time:.2f} times real time"
    )


def _checkpoint(options: argparse.Namespace) -> Path:
    """Return the path of the model to test. Raises InputError if the run or its epoch is not there."""
    from speech_recognition.runs import checkpoint
    from speech_recognition.runs.folder import RunFolder, newest_runs

    if not (options.epoch.isascii() and options.epoch.isdigit() and len(options.epoch) < 9):
        return Path(options.epoch)
    preset = _SETS[options.set][1]
    runs = [RunFolder(options.run_folder)] if options.run_folder else newest_runs(preset, ROOT / "results")
    if not runs:
        raise InputError(
            f"{ROOT / 'results'}: no run of preset {preset} in it; name one with --run, or a file instead of the epoch"
        )
    path = checkpoint.epoch_path(runs[0].checkpoints, int(options.epoch))
    if not path.is_file():
        there = ", ".join(each.stem for each in reversed(checkpoint.epoch_paths(runs[0].checkpoints)))
        raise InputError(f"{path}: no such checkpoint; the run has {there or 'none'}")
    return path
