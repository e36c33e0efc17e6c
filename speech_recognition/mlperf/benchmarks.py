"""The benchmarks that rules/benchmarks.yaml defines."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from speech_recognition.mlperf.constraints import Constraint

_DEFINITION = Path(__file__).parent / "rules" / "benchmarks.yaml"


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Definition of a benchmark."""

    name: str
    """Value of `submission_benchmark`."""
    preset: str
    """Preset of the closed division."""
    open_presets: tuple[str, ...]
    """Presets whose logs have this benchmark's name and are of the open division."""
    option: str
    """Option of `download` that makes the dataset."""
    target_wer: float
    """Word error rate on val in percent; a run succeeds and ends when it is at or below this."""
    most_epochs: int
    """Largest number of passes over the training data."""
    tensors: int
    """Number of the model's weight tensors."""
    parameters: int
    """Number of the model's weights."""
    lines: Mapping[str, Constraint]
    """Constraints on the lines of a closed log, by key."""


@cache
def benchmarks() -> dict[str, Benchmark]:
    """Return the benchmarks by name."""
    return {
        name: Benchmark(name=name, **{**values, "open_presets": tuple(values["open_presets"])})
        for name, values in _definition()["benchmarks"].items()
    }


def benchmark_of(preset: str) -> Benchmark:
    """Return the benchmark whose name the logs of a preset have."""
    return next(each for each in benchmarks().values() if preset in (each.preset, *each.open_presets))


@cache
def _definition() -> dict[str, Any]:
    definition: dict[str, Any] = yaml.safe_load(_DEFINITION.read_text(encoding="utf-8"))
    return definition
