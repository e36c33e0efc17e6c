"""Options that every command of inference has, and the model that they choose."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from speech_recognition.runtime.allocator import keep_memory

if TYPE_CHECKING:
    import torch

    from speech_recognition.recognizer import AnyRecognizer

DEVICES = "cpu, cuda, cuda:N, or auto: a GPU if there is one (default: auto)"
"""Help of the option `--device`."""


def add_inference_options(parser: argparse.ArgumentParser) -> None:
    """Add the options `--device`, `--precision` and `--threads`, which `load_model` reads."""
    add = parser.add_argument
    add("--device", default="auto", metavar="NAME", help=DEVICES)
    add(
        "--precision",
        choices=["fp32", "bf16", "int8"],
        help="precision of the products; int8 is the fastest on a CPU (default: that of the training)",
    )
    add("--threads", type=_threads, metavar="N", help="CPU threads that compute (default: one for each core)")


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


def _threads(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"{text}: must be from 1 to 1024")
    return int(text)
