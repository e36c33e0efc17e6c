"""Traces of torch's profiler, of a GPU as the sample has them and of a CPU as made here."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.errors import InputError
from speech_recognition.profiling.calls import OTHER, Place, Profile
from speech_recognition.profiling.trace import read_trace

SAMPLE = Path(__file__).parent / "samples" / "gpu_trace.json"


def operation(name: str, ts: float, dur: float, category: str = "cpu_op", **arguments: int) -> dict[str, Any]:
    given_arguments = {key.replace("_", " "): value for key, value in arguments.items()}
    return {"ph": "X", "cat": category, "name": name, "pid": 1, "tid": 1, "ts": ts, "dur": dur, "args": given_arguments}


def parsed(*events: object, **others: object) -> Profile:
    return read_trace(Path("trace.json"), json.dumps({"traceEvents": events, **others}).encode())


def test_each_kernel_of_the_sample_is_at_the_place_of_the_operation_that_launched_it() -> None:
    profile = read_trace(SAMPLE, SAMPLE.read_bytes())
    assert [(call.place, call.ms) for call in profile.calls] == [
        (Place("conv.0", "forward"), 0.5),
        (Place("loss", "forward"), 0.1),
        (Place("loss", "backward"), 0.3),
        (Place("conv.0", "backward"), 1.5),
        (Place("optimizer", "update"), 0.4),
        (OTHER, 0.2),
    ]
    assert [call.occupancy for call in profile.calls] == [25, 3, 3, 75, None, None]
    assert profile.unit == "GPU kernels" and profile.ms == pytest.approx(3.0)


def test_the_window_says_how_long_a_step_is_and_how_busy_the_device() -> None:
    # Kernels run from 2000 to 2900 and from 3000 to 5000 in a window from 1000 to 5000.
    about = read_trace(SAMPLE, SAMPLE.read_bytes()).about
    assert about == "reference, batch 128, 2 steps of 2.0 ms, 72% of it in GPU kernels"


def test_an_operation_counts_without_those_that_it_calls() -> None:
    profile = parsed(operation("outer", 0, 100), operation("inner", 10, 30), operation("inner", 50, 20))
    assert [(call.kernel, call.ms) for call in profile.calls] == [("outer", 0.05), ("inner", 0.03), ("inner", 0.02)]
    assert profile.unit == "CPU operations" and profile.about == ""


def test_the_last_operation_with_a_sequence_number_is_the_one_whose_gradient_follows() -> None:
    profile = parsed(
        operation("forward conv.1", 0, 10, "user_annotation"),
        operation("aten::gt", 1, 1, Sequence_number=0, Fwd_thread_id=0),
        operation("forward rnn.0", 20, 10, "user_annotation"),
        operation("aten::mm", 21, 1, Sequence_number=0, Fwd_thread_id=0),
        operation("MmBackward0", 40, 10, Sequence_number=0, Fwd_thread_id=1),
        operation("aten::t", 41, 2),
    )
    places = {call.kernel: str(call.place) for call in profile.calls}
    assert places["MmBackward0"] == places["aten::t"] == "backward rnn.0"


def test_a_thread_does_not_nest_in_a_different_one() -> None:
    inner = operation("other thread", 10, 30) | {"tid": 2}
    assert [call.ms for call in parsed(operation("outer", 0, 100), inner).calls] == [0.1, 0.03]


def test_a_thread_of_a_layers_own_has_the_place_of_what_runs_meanwhile() -> None:
    profile = parsed(
        operation("forward rnn.0", 100, 50, "user_annotation"),
        operation("loop", 101, 48),
        operation("too early", 90, 5) | {"tid": 2},
        operation("helper", 110, 20) | {"tid": 2},
        operation("called by it", 112, 5) | {"tid": 2},
        operation("just in time", 149, 30) | {"tid": 2},
        operation("too late", 150, 5) | {"tid": 3},
        operation("between", 200, 5),
        operation("forward rnn.1", 300, 50, "user_annotation"),
        operation("next helper", 310, 5) | {"tid": 2},
    )
    places = {call.kernel: str(call.place) for call in profile.calls}
    assert places == {
        **dict.fromkeys(("loop", "helper", "called by it", "just in time"), "forward rnn.0"),
        **dict.fromkeys(("too early", "too late", "between"), str(OTHER)),
        "next helper": "forward rnn.1",
    }


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"{", "cannot be read as JSON"),
        (b"[]", "has no list of traceEvents"),
        (b'{"traceEvents": {}}', "has no list of traceEvents"),
        (b'{"traceEvents": []}', "an empty trace"),
        (b'{"traceEvents": [{"ph": "X", "cat": "kernel", "name": "k", "ts": 1}]}', "event 0 lacks"),
        (b'{"traceEvents": [{"ph": "X", "cat": "kernel", "name": "k", "ts": 1, "dur": NaN}]}', "event 0 lacks"),
        (b'{"traceEvents": [{"ph": "X", "cat": "kernel", "name": "k", "ts": 1, "dur": -1}]}', "event 0 lacks"),
        (b'{"traceEvents": [{"ph": "X", "cat": "kernel", "name": 3, "ts": 1, "dur": 1}]}', "event 0 lacks"),
        (b'{"a": ' * 100_000, "cannot be read as JSON"),
    ],
)
def test_what_is_no_trace_names_the_file(content: bytes, fault: str) -> None:
    with pytest.raises(InputError, match=rf"^some\.json: .*{fault}.*; name a trace"):
        read_trace(Path("some.json"), content)


@pytest.mark.parametrize("facts", [3, {"steps": "many"}, {"steps": -1, "preset": ["\n"]}, {"steps": 10**9}])
def test_facts_of_a_forged_trace_do_no_harm(facts: object) -> None:
    about = parsed(operation("op", 0, 1), operation("window", 0, 1, "user_annotation"), speech_recognition=facts).about
    assert "\n" not in about and "steps" not in about


@st.composite
def trees(draw: st.DrawFn, begin: int = 0, end: int = 10_000) -> list[tuple[int, int]]:
    """Draw spans of whole microseconds that are nested or apart, as (begin, end)."""
    cuts = sorted(draw(st.lists(st.integers(begin, end), max_size=4, unique=True)))
    spans = []
    for low, high in zip(cuts[::2], cuts[1::2], strict=False):
        spans += [(low, high), *draw(trees(low + 1, high - 1))] if high - low > 2 else [(low, high)]
    return spans


@given(st.lists(trees(), min_size=1, max_size=3), st.randoms())
def test_own_times_add_up_to_the_time_covered(threads: list[list[tuple[int, int]]], random: Any) -> None:
    events = [
        operation("op", begin, end - begin) | {"tid": thread}
        for thread, spans in enumerate(threads)
        for begin, end in spans
    ]
    covered = defaultdict(set)
    for thread, spans in enumerate(threads):
        for begin, end in spans:
            covered[thread] |= set(range(begin, end))
    random.shuffle(events)
    if not events:
        return
    assert parsed(*events).ms * 1000 == pytest.approx(sum(map(len, covered.values())))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["ph", "cat", "name", "pid", "tid", "ts", "dur", "args"])
NUMBERS = st.integers(0, 1000) | st.floats(0, 1000)
EVENTS = st.dictionaries(KEYS, VALUES) | st.fixed_dictionaries(
    {
        "ph": st.just("X"),
        "cat": st.sampled_from(["cpu_op", "kernel", "user_annotation"]),
        "name": st.sampled_from(["window", "forward conv.0", "aten::ctc_loss"]) | st.text(max_size=5),
        "ts": NUMBERS,
        "dur": NUMBERS,
        "args": st.dictionaries(st.sampled_from(["External id", "Sequence number", "Fwd thread id"]), VALUES),
    }
)


@given(st.lists(EVENTS, max_size=8), VALUES)
def test_any_events_give_a_profile_or_one_line_of_error(events: list[object], facts: object) -> None:
    try:
        profile = parsed(*events, speech_recognition=facts)
    except InputError as error:
        assert str(error).startswith("trace.json: ") and "\n" not in str(error)
    else:
        assert profile.calls and all(call.ms >= 0 for call in profile.calls)
