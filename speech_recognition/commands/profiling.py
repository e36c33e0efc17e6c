"""The command `profile`: a window of training steps, recorded, and recordings as tables and charts."""

import argparse
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import params
from speech_recognition import settings
from speech_recognition.commands import REFERENCES, ROOT, Commands
from speech_recognition.commands.options import DEVICES, whole
from speech_recognition.errors import ExitStatus, InputError, one_line
from speech_recognition.files import check_writable
from speech_recognition.parameters import Params
from speech_recognition.runtime.allocator import keep_memory

if TYPE_CHECKING:
    import torch

    from speech_recognition.training.epochs import TrainingSet
    from speech_recognition.training.trainer import Trainer

_SEED = 1
"""Seed of weights, order and augmentation: two profiles of the same parameters are of the same steps."""

_NEEDED_BYTES = 500_000_000
"""Free disk that a recording may take; a step of `reference` has a trace of about 50 MB."""

_TOOLS = {
    "torch": ((), 3, "torch's profiler, on any device: a trace, its tables and its chart"),
    "nsys": (("nvprof",), 3, "NVIDIA Nsight Systems, on a GPU: a timeline"),
    "ncu": (("nsight",), 1, "NVIDIA Nsight Compute, on a GPU: each kernel's use of SMs and tensor cores, as CSV"),
    "capture": ((), 3, "no profiler: steps with NVTX ranges between cudaProfilerStart and -Stop, for one of your own"),
}
"""Other names, default number of steps and help of each profiler."""


def add_profile(commands: Commands) -> None:
    """Add the command `profile`."""
    parser = commands.add_parser(
        "profile",
        help="record training steps with a profiler, and print a recording as tables",
        description="Record a few training steps, after some that are not recorded, with torch's profiler or the one"
        " that TOOL names. Options of a TOOL come after it: profile TOOL --help.",
    )
    _add_window_options(parser, "torch")
    tools = parser.add_subparsers(dest="tool", metavar="TOOL")
    for name, (others, _, text) in _TOOLS.items():
        tool = tools.add_parser(name, aliases=others, help=text, description=f"Record with {text}.")
        _add_window_options(tool, name)
    parse = tools.add_parser(
        "parse",
        help="print a trace of torch's or a CSV of ncu's as tables, and draw the time of each layer",
        description="Print the kernels (on a CPU: operations) that took longest, and the time of each layer, and draw a"
        " chart of the layers.",
    )
    parse.add_argument("files", type=Path, nargs="+", metavar="FILE", help="a trace of torch's or a CSV of ncu's")
    _add_table_options(parse)
    parse.add_argument(
        "--output-dir", type=Path, metavar="DIR", help="folder of the charts (default: beside each FILE)"
    )
    parse.set_defaults(run=_parse)


def _add_window_options(parser: argparse.ArgumentParser, tool: str) -> None:
    """Add the options that choose the steps, and make the parser's command record them with `tool`."""
    add, steps = parser.add_argument, _TOOLS[tool][1]
    add("--preset", default="reference", metavar="NAME", help=f"{', '.join(params.PRESETS)} (default: reference)")
    add("--set", action="append", default=[], metavar="SECTION.NAME=VALUE", help="change a parameter (repeatable)")
    add("--data-dir", type=Path, metavar="DIR", help="dataset (default: data.dataset; if that is not there, noise)")
    add("--device", default="auto", metavar="NAME", help=DEVICES)
    add(
        "--steps", type=whole(1, 10_000), default=steps, metavar="N", help=f"steps that are recorded (default: {steps})"
    )
    add("--warm-up", type=whole(1, 10_000), default=5, metavar="N", help="steps before them (default: 5)")
    if tool != "capture":
        add("--output-dir", type=Path, metavar="DIR", help="folder of the recording (default: results/profiles)")
    if tool == "torch":
        _add_table_options(parser)
    parser.set_defaults(run=partial(_record, tool))


def _add_table_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--rows", type=whole(1, 10_000), default=20, metavar="N", help="kernels that are listed (default: 20)"
    )


def _record(tool: str, options: argparse.Namespace) -> ExitStatus:
    """Record a window of training steps with a profiler."""
    if options.tool and options.arguments[1].startswith("-"):
        raise InputError(f"profile: write {options.tool} before its options: profile {options.tool} --preset NAME")
    chosen = settings.apply(settings.preset(options.preset), options.set)
    if tool in ("nsys", "ncu"):
        return _launch(tool, chosen, options)
    from speech_recognition.profiling.window import captured_range, record, torch_recording
    from speech_recognition.training.prepare import check_parameters, resolve_precision
    from speech_recognition.training.trainer import Trainer

    keep_memory()
    device = _device(tool, options)
    chosen = resolve_precision(chosen, device, None)
    check_parameters(chosen, device)
    path = None if tool == "capture" else _output(tool, chosen, options)
    trainer = Trainer(chosen, _SEED, device)
    about = {"preset": chosen.preset, "batch_size": chosen.stage(1).batch_size, "steps": options.steps}
    recording = torch_recording(trainer, path, about) if path else captured_range(trainer)
    with tempfile.TemporaryDirectory() as scratch:
        train_set = _training_set(trainer, options, Path(scratch))
        trainer.read_noise()
        record(trainer, train_set, options.warm_up, options.steps, recording)
    if path:
        print(f"{path}: open it in https://ui.perfetto.dev or chrome://tracing")
        _show(path, path.parent, options.rows)
    return ExitStatus.DONE


def _device(tool: str, options: argparse.Namespace) -> "torch.device":
    """Return the device of `--device`. Raises InputError if it is a CPU and the profiler needs a GPU."""
    import torch

    from speech_recognition.runtime.devices import choose_device

    device = choose_device(options.device)
    if tool != "torch" and device.type != "cuda":
        raise InputError(f"profile {tool}: needs a GPU, but the device is {device}; use profile torch")
    if not torch.cuda.is_available():
        os.environ.setdefault("KINETO_LOG_LEVEL", "5")  # else torch's profiler complains that there is no GPU
    return device


def _output(tool: str, chosen: Params, options: argparse.Namespace) -> Path:
    """Return the path of a new recording. Raises InputError or DiskFullError if the folder cannot take it."""
    folder = options.output_dir or ROOT / "results" / "profiles"
    check_writable(folder, _NEEDED_BYTES, "--output-dir")
    size = chosen.stage(1).batch_size
    if tool == "ncu":
        return folder / f"nsight_bs_{size}.csv"
    return folder / f"profile_{time.strftime('%Y%m%d_%H%M%S')}_bs_{size}.{'json.gz' if tool == 'torch' else 'nsys-rep'}"


def _training_set(trainer: "Trainer", options: argparse.Namespace, scratch: Path) -> "TrainingSet":
    """Return the training set of the dataset; noise, written to `scratch`, if the preset's own is not there."""
    from speech_recognition.profiling.noise import LONGEST, SHORTEST, noise_set
    from speech_recognition.training.data import read_data
    from speech_recognition.training.prepare import Places, make_job

    chosen = trainer.params
    data_dir = options.data_dir or ROOT / chosen.data.dataset
    if options.data_dir or data_dir.exists():
        places = Places(data_dir=data_dir, results=ROOT / "results", references=REFERENCES)
        job = make_job(chosen, _SEED, trainer.device, scratch, places)
        # sys.stderr is a TextIOBase, but its type in typeshed is not.
        return read_data(job, trainer.recognizer, sys.stderr).train_set  # type: ignore[arg-type]
    print(
        f"note: {data_dir} is not there: training on noise of {SHORTEST} to {LONGEST} s instead, whose steps take"
        " different times",
        file=sys.stderr,
    )
    count = chosen.stage(1).batch_size * (options.warm_up + options.steps)
    return noise_set(scratch, chosen, _SEED, count)


def _launch(tool: str, chosen: Params, options: argparse.Namespace) -> ExitStatus:
    """Replace this process by nsys or ncu, which runs `profile capture`."""
    from speech_recognition.profiling import launch

    found = launch.find(tool)
    _device(tool, options)
    path = _output(tool, chosen, options)
    path.parent.mkdir(parents=True, exist_ok=True)
    words = ["profile", "capture", "--preset", options.preset, "--device", options.device]
    words += [word for assignment in options.set for word in ("--set", assignment)]
    words += ["--data-dir", str(options.data_dir)] if options.data_dir else []
    words += ["--steps", str(options.steps), "--warm-up", str(options.warm_up)]
    command = launch.nsys_command if tool == "nsys" else launch.ncu_command
    then = "open it in Nsight Systems" if tool == "nsys" else f"then: profile parse {path}"
    print(f"{tool} writes {path}; {then}", file=sys.stderr)
    launch.become(command(found, path, launch.own_command(words)))


def _parse(options: argparse.Namespace) -> ExitStatus:
    folders = [options.output_dir or path.parent for path in options.files]
    for folder in folders:
        check_writable(folder, 1_000_000, "--output-dir")
    for path, folder in zip(options.files, folders, strict=True):
        _show(path, folder, options.rows)
    return ExitStatus.DONE


def _show(path: Path, folder: Path, rows: int) -> None:
    """Print the tables of a recording and draw its chart into `folder`. Raises InputError as `read_profile` does."""
    from speech_recognition.profiling.chart import draw_layers
    from speech_recognition.profiling.reading import read_profile
    from speech_recognition.profiling.table import kernel_table, layer_table

    profile = read_profile(path)
    chart = folder / f"{path.name.removesuffix('.gz').removesuffix('.json').removesuffix('.csv')}_layers.png"
    print(f"{one_line(path.name)}: {profile.unit}{profile.about and f'; {profile.about}'}\n")
    print(f"{kernel_table(profile, rows)}\n\n{layer_table(profile)}\n")
    draw_layers(chart, profile)
    print(f"chart: {one_line(str(chart))}")
