"""What keeps a run out of the closed division, known before it runs.

The lines that the run would write are held to the constraints of rules/benchmarks.yaml, to which closed.yaml holds the
lines of a log. A parameter that no line states must be that of the benchmark's preset, unless benchmarks.yaml lists it
as free.
"""

from collections.abc import Iterator

from speech_recognition import settings
from speech_recognition.corpus.counts import Counts
from speech_recognition.mlperf.benchmarks import Benchmark, benchmark_of, free_parameters
from speech_recognition.mlperf.constraints import Constraint, allows, phrase
from speech_recognition.mlperf.described import described
from speech_recognition.parameters import Params


def open_reasons(params: Params) -> list[str]:
    """Return why a run with these parameters is of the open division, a phrase for each parameter; [] if it is not."""
    benchmark = benchmark_of(params.preset)
    if params.preset != benchmark.preset:
        return [f"the preset {params.preset}, not {benchmark.preset}"]
    changed = settings.differences(settings.preset(params.preset), params)
    entries = list(_entries(benchmark, params))
    stated = {constraint.get("parameter") for _, constraint, _ in entries}
    reasons = {
        name: f"{name}={value}"
        for name, (_, value) in changed.items()
        if name not in stated and name not in free_parameters()
    }
    for name, constraint, values in entries:
        parameter = constraint.get("parameter", name)
        # A line that is missing because a parameter was changed: the tempo's, for a tempo of 1.
        missing = not values and parameter in changed
        if missing or not all(allows(constraint, value) for value in values):
            value = settings.value(params, parameter) if "parameter" in constraint else values[0]
            reasons.setdefault(parameter, f"{parameter}={value} ({name} must be {phrase(constraint)})")
    return list(reasons.values())


def data_reasons(benchmark: Benchmark, counts: Counts) -> list[str]:
    """Return why a run on a dataset with these counts is of the open division; [] if it is not."""
    found = {"train_samples": counts.train.utterances, "eval_samples": counts.val.utterances}
    return [
        f"{key}={count} (must be {phrase(benchmark.lines[key])})"
        for key, count in found.items()
        if not allows(benchmark.lines[key], count)
    ]


def _entries(benchmark: Benchmark, params: Params) -> Iterator[tuple[str, Constraint, list[object]]]:
    """Yield the name of each value that a closed log states, its constraint, and the values that this run would state.

    There is one value, or none if the run would not write the line.
    """
    lines = {key: (value, metadata) for key, value, metadata in described(params, seed=0)}
    for key, constraint in benchmark.lines.items():
        value, metadata = lines.get(key, (None, {}))
        yield key, constraint, [value] if key in lines else []
        for name, inner in constraint.get("metadata", {}).items():
            yield f"{name} of {key}", inner, [metadata[name]] if name in metadata else []
