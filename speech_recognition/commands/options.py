"""Values of options that several commands have: numbers within bounds, devices, files to write."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from speech_recognition.files import check_file, check_writable

DEVICES = "cpu, cuda[:N], xpu ..., or auto: a GPU if there is one (default: auto)"
"""Help of the option `--device`."""


def whole(least: int, most: int, minus_one: str = "") -> Callable[[str], int | None]:
    """Return a parser of whole numbers from `least` to `most`; -1, which means `minus_one`, becomes None."""

    def parse(text: str) -> int | None:
        """Return the number; raises ArgumentTypeError, which argparse prints, if it is out of bounds."""
        if minus_one and text == "-1":
            return None
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            also = f", or -1 for {minus_one}" if minus_one else ""
            raise argparse.ArgumentTypeError(f"{text}: must be a whole number from {least} to {most}{also}")
        return int(text)

    return parse


def number(least: float, most: float, *, above: bool = False) -> Callable[[str], float]:
    """Return a parser of numbers from `least` to `most`; with `above`, `least` itself is refused."""
    bounds = f"above {least}, at most {most}" if above else f"from {least} to {most}"

    def parse(text: str) -> float:
        """Return the number; raises ArgumentTypeError, which argparse prints, if it is out of bounds."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most or (above and value == least):
            raise argparse.ArgumentTypeError(f"{text}: must be a number {bounds}")
        return value

    return parse


def check_output(path: Path, option: str = "--output", needed_bytes: int = 1_000_000) -> None:
    """Raise InputError if the file `path` of an option cannot be written, DiskFullError without `needed_bytes` free."""
    check_file(path, option)
    check_writable(path.absolute().parent, needed_bytes, option)
