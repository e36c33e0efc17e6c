"""The benchmarks that rules/benchmarks.yaml defines."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from speech_recognition.mlperf.constraints import Constraint, phrase

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
    weights: int
    """Number of the model's weights, over all tensors."""
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


def free_parameters() -> list[str]:
    """Return the parameters that no line of the log states and that a closed run may set."""
    return list(_definition()["free_parameters"])


def markdown_table() -> str:
    """Return a Markdown table of everything that a closed run may change, with the values of each benchmark."""
    names = list(benchmarks())
    rows: dict[tuple[str, str], dict[str, str]] = {}
    for name, benchmark in benchmarks().items():
        for key, constraint in benchmark.lines.items():
            inner = constraint.get("metadata", {}).items()
            for place, each in [(f"`{key}`", constraint), *((f"`{entry}` of `{key}`", each) for entry, each in inner)]:
                if "parameter" in each:
                    rows.setdefault((each["parameter"], place), {})[name] = (
                        phrase(each) if each.get("free") else "fixed"
                    )
    lines = [
        f"| parameter | in the log | {' | '.join(f'`{name}`' for name in names)} |",
        "|---" * (2 + len(names)) + "|",
    ]
    for (parameter, place), values in rows.items():
        if set(values.values()) != {"fixed"}:
            cells = " | ".join(values.get(name, "not used") for name in names)
            lines.append(f"| `{parameter}` | {place} | {cells} |")
    lines += [f"| `{parameter}` | | {' | '.join('any' for _ in names)} |" for parameter in free_parameters()]
    return "\n".join(lines)


@cache
def _definition() -> dict[str, Any]:
    with _DEFINITION.open(encoding="utf-8") as file:
        definition: dict[str, Any] = yaml.safe_load(file)
    return definition
