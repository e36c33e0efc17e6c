"""Reader of the traces that torch's profiler writes: JSON in Chrome's trace format, with torch's own arguments.

A trace of a GPU has an event for each kernel, with the id of the operation that launched it. A trace of a CPU has
operations alone, nested as they call each other. An operation of the backward pass has the sequence number of the
operation of the forward pass whose gradient it computes: the layer of the one is the layer of the other.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from speech_recognition.errors import InputError, one_line
from speech_recognition.profiling.calls import OTHER, Call, Place, Profile, place_of

ABOUT = "speech_recognition"
"""Key under which a trace holds the preset, the batch size and the number of steps."""

WINDOW = "window"
"""Name of the range around the recorded steps."""

_ADVICE = "name a trace that torch.profiler wrote"
_GPU = {"kernel", "gpu_memcpy", "gpu_memset"}


@dataclass(slots=True)
class _Span:
    """One complete event of a trace; times are in microseconds."""

    category: str
    name: str
    thread: tuple[str, str]
    """Process and thread."""
    begin: float
    end: float
    arguments: Mapping[str, Any]
    own: float = 0.0
    """Time in it and in no span that it encloses."""
    parent: "_Span | None" = None
    """Innermost span of its thread that encloses it."""
    place: Place | None = None
    """Place in the step; None if nothing tells it."""


def read_trace(path: Path, content: bytes) -> Profile:
    """Return the profile in a trace: GPU kernels if there are any, else CPU operations.

    Raises InputError, which names `path`, if the content is not a trace of torch's, or has neither.
    """
    try:
        trace = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({one_line(str(error))}); {_ADVICE}") from None
    if not isinstance(trace, dict) or not isinstance(trace.get("traceEvents"), list):
        raise InputError(f"{path}: has no list of traceEvents; {_ADVICE}")
    spans = sorted(_spans(path, trace["traceEvents"]), key=lambda each: (each.thread, each.begin, -each.end))
    kernels = sorted((each for each in spans if each.category in _GPU), key=lambda each: each.begin)
    host = [each for each in spans if each.category in ("cpu_op", "user_annotation")]
    _nest(host)
    _place(host)
    _place_helpers(host)
    operations = [each for each in host if each.category == "cpu_op"]
    if not operations and not kernels:
        raise InputError(f"{path}: an empty trace, without operations or kernels; {_ADVICE}")
    window = next((each for each in host if each.name == WINDOW), None)
    unit = "GPU kernels" if kernels else "CPU operations"
    about = _about(trace.get(ABOUT), window, kernels or operations, unit)
    if kernels:
        return Profile(calls=list(_kernel_calls(kernels, host)), unit=unit, about=about)
    operations.sort(key=lambda each: each.begin)
    calls = [Call(kernel=each.name, place=each.place or OTHER, ms=each.own / 1000) for each in operations]
    return Profile(calls=calls, unit=unit, about=about)


def _spans(path: Path, events: Sequence[object]) -> Iterator[_Span]:
    """Yield the complete events. Raises InputError for one without name, time or duration."""
    for number, event in enumerate(events):
        if not isinstance(event, dict) or event.get("ph") != "X":
            continue
        name, begin, duration = event.get("name"), _time(event.get("ts")), _time(event.get("dur"))
        if not isinstance(name, str) or begin is None or duration is None:
            raise InputError(f"{path}: event {number} lacks name, ts or dur, or they are out of range; {_ADVICE}")
        thread = (str(event.get("pid")), str(event.get("tid")))
        arguments = event.get("args")
        yield _Span(
            str(event.get("cat")),
            name,
            thread,
            begin,
            begin + duration,
            arguments if isinstance(arguments, dict) else {},
        )


def _time(value: object) -> float | None:
    """Return a time in microseconds, None if it is not a number from 0 to 1e18; older traces count from 1970: 2e15."""
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1e18 else None  # NaN is not


def _nest(spans: Iterable[_Span]) -> None:
    """Set parent and own time of spans, which are sorted by thread and beginning, outer ones first."""
    stack: list[_Span] = []
    for span in spans:
        while stack and (stack[-1].thread != span.thread or stack[-1].end <= span.begin):
            stack.pop()
        span.own = span.end - span.begin
        if stack:
            span.parent = stack[-1]
            # torch rounds to nanoseconds: an inner span can seem to end after the outer one.
            span.parent.own = max(0.0, span.parent.own - (min(span.end, span.parent.end) - span.begin))
        stack.append(span)


def _place(spans: Sequence[_Span]) -> None:
    """Set the place of nested spans: first those of the forward pass, then by them those of the backward pass."""
    forward: dict[int, Place | None] = {}
    for span in spans:
        inherited = span.parent.place if span.parent else None
        # The loss is a function, not a layer, so no range encloses it.
        loss = Place("loss", "forward") if "ctc_loss" in span.name else None
        span.place = _marked(span) or inherited or loss
        sequence = _number(span, "Sequence number")
        if sequence is not None and not _number(span, "Fwd thread id"):
            # Of the operations with this number, the last one has made the node of the gradient.
            forward[sequence] = span.place
    for span in spans:
        sequence = _number(span, "Sequence number") if _number(span, "Fwd thread id") else None
        origin = forward.get(sequence) if sequence is not None else None
        inherited = span.parent.place if span.parent else None
        if origin:
            span.place = Place(origin.layer, "backward")
        elif inherited and not _marked(span):
            span.place = inherited


def _place_helpers(spans: Sequence[_Span]) -> None:
    """Give spans in threads that a layer starts, as gru.py does, the place of what runs meanwhile."""
    outermost = [each for each in spans if each.place and not (each.parent and each.parent.place)]
    outermost.sort(key=lambda each: each.begin)
    begins = [each.begin for each in outermost]
    for span in spans:
        if span.place:
            continue
        if span.parent:
            span.place = span.parent.place
        elif index := bisect_right(begins, span.begin):
            meanwhile = outermost[index - 1]
            if meanwhile.thread != span.thread and span.begin < meanwhile.end:
                span.place = meanwhile.place


def _marked(span: _Span) -> Place | None:
    """Return the place that a span marks, if it is one of our ranges."""
    return place_of(span.name) if span.category == "user_annotation" else None


def _number(span: _Span, name: str) -> int | None:
    value = span.arguments.get(name)
    return value if isinstance(value, int) else None


def _kernel_calls(kernels: Iterable[_Span], host: Iterable[_Span]) -> Iterator[Call]:
    """Yield a call for each kernel, at the place of the operation or range that launched it."""
    places = {_number(each, "External id"): each.place for each in host}
    for kernel in kernels:
        external = _number(kernel, "External id")
        place = places.get(external) if external is not None else None
        occupancy = kernel.arguments.get("est. achieved occupancy %")
        yield Call(
            kernel=kernel.name,
            place=place or OTHER,
            ms=(kernel.end - kernel.begin) / 1000,
            occupancy=float(occupancy) if isinstance(occupancy, int | float) and 0 <= occupancy <= 100 else None,
        )


def _about(facts: object, window: _Span | None, counted: Sequence[_Span], unit: str) -> str:
    """Return in words what the trace says about the window, and how much of its time the calls cover."""
    known = facts if isinstance(facts, dict) else {}
    steps = known.get("steps")
    parts = [str(known["preset"])] if "preset" in known else []
    parts += [f"batch {known['batch_size']}"] if "batch_size" in known else []
    if window and window.end > window.begin and isinstance(steps, int) and 0 < steps < 10**6:
        length = window.end - window.begin
        share = 100 * _covered(counted, window) / length
        parts.append(f"{steps} step{'s' * (steps > 1)} of {length / 1000 / steps:.1f} ms, {share:.0f}% of it in {unit}")
    return one_line(", ".join(parts))


def _covered(spans: Iterable[_Span], window: _Span) -> float:
    """Return the time in which at least one of the spans runs, in microseconds of the window."""
    covered, reached = 0.0, window.begin
    for span in sorted(spans, key=lambda each: each.begin):
        end = min(span.end, window.end)
        covered += max(0.0, end - max(span.begin, reached))
        reached = max(reached, end)
    return covered
