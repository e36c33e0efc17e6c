"""Constraints on the lines of a closed log, as rules/benchmarks.yaml writes them.

`train` holds the lines that a run would write to them, closed.yaml those of a log. closed.yaml loads this file by its
path, since the official checker's own command knows no package of ours; so it imports only the standard library.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

Constraint = Mapping[str, Any]
"""Entry of a line, or of its metadata, in rules/benchmarks.yaml."""


def allows(constraint: Constraint, value: object) -> bool:
    """Return whether `value` meets a constraint; one that names no value is met by all."""
    if "equals" in constraint:
        return _same(value, constraint["equals"])
    if "one_of" in constraint:
        return any(_same(value, each) for each in constraint["one_of"])
    if "from" in constraint:
        return type(value) in (int, float) and constraint["from"] <= value <= constraint["to"]
    return True


def phrase(constraint: Constraint) -> str:
    """Return the values that a constraint allows, in words: "5.0", "fp32, tf32 or bfloat16", "from 4 to 128", "any"."""
    if "equals" in constraint:
        return _text(constraint["equals"])
    if "one_of" in constraint:
        *most, last = map(_text, constraint["one_of"])
        return f"{', '.join(most)} or {last}" if most else last
    return f"from {_text(constraint['from'])} to {_text(constraint['to'])}" if "from" in constraint else "any"


def add_checks(records: Sequence[dict[str, Any]], lines: Mapping[str, Constraint]) -> None:
    """Add the constraints of `lines` to the KEY records of common.yaml, and refuse keys without a constraint.

    The CHECKs that are added call `allows` on `lines`, which the checker's state must hold under these names.
    """
    for record in records:
        key, checks = record["NAME"], record["CHECK"] if isinstance(record["CHECK"], list) else [record["CHECK"]]
        if key in lines:
            record.setdefault("REQ", "EXACTLY_ONE")
            checks = [*checks, f"allows(lines[{key!r}], v['value'])  # must be {phrase(lines[key])}"]
            for name, constraint in lines[key].get("metadata", {}).items():
                entry, found = f"lines[{key!r}]['metadata'][{name!r}]", f"v['metadata'][{name!r}]"
                checks.append(f"allows({entry}, {found})  # {name} must be {phrase(constraint)}")
        elif "REQ" not in record:
            checks = [*checks, "False  # a closed log of this benchmark has no such line"]
        record["CHECK"] = checks


def _same(one: object, other: object) -> bool:
    """Return whether two values are equal; true and 1 are not."""
    return (type(one) is bool) == (type(other) is bool) and one == other


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
