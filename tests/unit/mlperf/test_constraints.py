"""Tests of the constraints on a closed log's lines, and of the CHECKs that they become."""

import math
from typing import Any

import pytest

from speech_recognition.mlperf.constraints import add_checks, allows, phrase


@pytest.mark.parametrize(
    ("constraint", "words", "good", "bad"),
    [
        ({"equals": 5.0}, "5.0", [5.0, 5], [5.1, "5.0", None, [5.0], math.nan]),
        ({"equals": True}, "true", [True], [1, 1.0, "true", False]),
        ({"equals": 1}, "1", [1], [True, 2]),
        ({"equals": "adamw"}, "adamw", ["adamw"], ["adam", "", None]),
        ({"one_of": ["fp32"]}, "fp32", ["fp32"], ["int4"]),
        ({"one_of": ["fp32", "tf32", "bfloat16"]}, "fp32, tf32 or bfloat16", ["tf32"], ["int4", ["tf32"]]),
        ({"from": 4, "to": 128}, "from 4 to 128", [4, 128, 5.5], [3, 129, True, "8", None, math.nan, math.inf]),
        ({"metadata": {"dataset": {"equals": "all"}}}, "any", ["anything", None], []),
    ],
)
def test_a_constraint_allows_what_its_words_say(
    constraint: dict[str, Any], words: str, good: list[object], bad: list[object]
) -> None:
    assert phrase(constraint) == words
    assert all(allows(constraint, value) for value in good)
    assert not any(allows(constraint, value) for value in bad)


def test_checks_are_added_to_the_keys_that_are_listed_and_others_are_refused() -> None:
    lines = {"seed": {"equals": 7, "metadata": {"lineno": {"from": 1, "to": 9}}}}
    records = [
        {"NAME": "seed", "CHECK": ["before"]},
        {"NAME": "data_order", "CHECK": "before"},
        {"NAME": "run_start", "REQ": "EXACTLY_ONE", "CHECK": "before"},
    ]
    add_checks(records, lines)
    seed, order, start = records
    assert seed["REQ"] == "EXACTLY_ONE" and "REQ" not in order
    assert start["CHECK"] == ["before"]
    state = {"allows": allows, "lines": lines}

    def failures(record: dict[str, Any], value: int, lineno: int) -> list[str]:
        v = {"value": value, "metadata": {"lineno": lineno}}
        return [check.partition("  # ")[2] for check in record["CHECK"][1:] if not eval(check, state, {"v": v})]

    assert failures(seed, 7, 3) == []
    assert failures(seed, 8, 10) == ["must be 7", "lineno must be from 1 to 9"]
    assert failures(order, 7, 3) == ["a closed log of this benchmark has no such line"]
