"""Tests that a log with a line missing, doubled or out of order is refused, wherever that line is."""

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("division", "preset"),
    [("closed", "mini"), ("closed", "reference"), ("open", "mini"), ("open", "reference"), ("open", "augmented")],
)
@pytest.mark.usefixtures("rules_read_once")
def test_no_line_may_be_missing_doubled_or_swapped_with_the_next(
    division: str, preset: str, good_log: Any, check: Any
) -> None:
    """Check all lines: no two neighbours may be swapped."""
    good = good_log(preset, division=division).only_mllog()
    assert check(good, division) == []
    damaged = {}
    for index, line in enumerate(good):
        damaged[f"line {index + 1} missing"] = [*good[:index], *good[index + 1 :]]
        damaged[f"line {index + 1} doubled"] = [*good[:index], line, *good[index:]]
    for index, (line, following) in enumerate(itertools.pairwise(good)):
        damaged[f"line {index + 1} swapped"] = [*good[:index], following, line, *good[index + 2 :]]
    assert [name for name, lines in damaged.items() if not check(lines, division)] == []


@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@pytest.mark.usefixtures("rules_read_once")
def test_a_line_moved_anywhere_is_found(data: st.DataObject, good_log: Any, check: Any) -> None:
    good = good_log().only_mllog()
    places = st.integers(0, len(good) - 1)
    source = data.draw(places)
    target = data.draw(places.filter(lambda place: place != source))
    rest = good[:source] + good[source + 1 :]
    assert check([*rest[:target], good[source], *rest[target:]])


def test_whole_epochs_may_not_be_missing_or_doubled(good_log: Any, check: Any) -> None:
    good = good_log(wers=[60, 50, 20]).only_mllog()
    first = next(index for index, key, _ in good.records() if key == "epoch_start")
    for epoch in range(3):
        start, stop = first + 5 * epoch, first + 5 * epoch + 5
        assert check([*good[:start], *good[stop:]])
        assert check([*good[:stop], *good[start:]])
    assert check([*good[:first], good[-1]])


def test_a_missing_line_is_named_and_the_place_shown(good_log: Any, check: Any) -> None:
    good = good_log()
    index = next(index for index, key, _ in good.records() if key == "seed")
    assert [str(violation) for violation in check([*good[:index], *good[index + 1 :]])] == [
        f"line {index + 1}: global_batch_size: out of order: a line before it is missing, doubled or misplaced",
        "Required EXACTLY_ONE occurrence of 'seed' but found 0",
    ]


@pytest.mark.usefixtures("rules_read_once")
def test_a_log_cut_anywhere_is_refused(good_log: Any, check: Any) -> None:
    good = good_log().only_mllog()
    for length in range(len(good)):
        assert check(good[:length]), length
        assert check([*good[:length], good[length][:-20]]), length


@pytest.mark.usefixtures("rules_read_once")
def test_two_records_on_one_line_are_refused(good_log: Any, check: Any) -> None:
    """Join each line with the next: the checker reads only the last record of a line."""
    good = good_log().only_mllog()
    for index, (line, following) in enumerate(itertools.pairwise(good)):
        assert check([*good[:index], f"{line} {following}", *good[index + 2 :]]), line


def test_plain_lines_and_prefixes_are_not_looked_at(good_log: Any, check: Any) -> None:
    lines = [f"rank0: {line}" for line in good_log()]
    assert check(["", "epoch 1 \x1b[1mbold\x1b[0m", *lines, "RESULT,SPEECH_RECOGNITION,7,12,me,now"]) == []


def test_mlperf_blocks_are_not_part_of_this_benchmark(good_log: Any, check: Any) -> None:
    messages = [violation.message for violation in check(good_log().edited("epoch_start", key="block_start"))]
    assert any(message.startswith("block_start: out of order") for message in messages)
