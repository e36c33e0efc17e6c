"""The rules of a benchmark in the form of mlperf-logging's rule files, for make_upstream_patch.py.

Our closed.yaml and open.yaml read common.yaml, benchmarks.yaml and constraints.py. A rule file of mlperf-logging is for
one benchmark and one division and reads no other file. So it gets the same records, with the values of benchmarks.yaml
written into their expressions.
"""

import ast
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import yaml

from speech_recognition.mlperf.check import RULES, Division
from speech_recognition.mlperf.constraints import Constraint

Record = dict[str, Any]
"""A KEY record: NAME, CHECK (a list of expressions) and, if it has them, REQ and POST."""

_HEAD = """\
# Rules of the {division} division for {name}, on every line of a log and on their order. For a key that
# common.yaml or {division}_common.yaml has too, they ask at least as much. The comment in an expression says what is
# wrong if it is false. Made by script/make_upstream_patch.py of the reference implementation.

"""
_WIDTH = 120


def rule_file(name: str, division: Division) -> str:
    """Return the rule file of a benchmark's division."""
    begin, state, checks = _loaded(name, division)
    records = [_plain(each["KEY"], name, state) for each in checks if "KEY" in each]
    (end,) = [each["END"]["CHECK"] for each in checks if "END" in each]
    used = [text for record in records for text in (*record["CHECK"], record.get("POST", ""))]
    anchors = {text: anchor for text, anchor in _anchors().items() if used.count(text) > 1}
    return "\n".join(
        [
            _HEAD.format(name=name, division=division) + _begin(begin, state, records, [*used, end]),
            "# Expressions that the records use by name. The checker ignores this record.",
            "- NAMES:",
            *(f"    - &{anchor} {json.dumps(text)}" for text, anchor in anchors.items()),
            "",
            *(_record(record, anchors) for record in records),
            "",
            "- END:",
            f"    CHECK: {json.dumps(end)}",
            "",
        ]
    )


def _loaded(name: str, division: Division) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
    """Run BEGIN of our rules as the checker does; return common.yaml's BEGIN, the variables and the records.

    BEGIN sees the rules as `checks`, their path and the log's lines, of which it reads only the benchmark's name. It
    sets global variables and appends the records of common.yaml.
    """
    path = RULES / f"{division}.yaml"
    checks = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    line = SimpleNamespace(key="submission_benchmark", value={"value": name})
    state: dict[str, Any] = {"s": {}, "math": math}
    exec(checks[0]["BEGIN"]["CODE"], state, {"checks": checks, "config_file": str(path), "loglines": [line]})
    code = [each["BEGIN"]["CODE"] for each in checks if "BEGIN" in each][-1]
    return code, state, checks


def _anchors() -> dict[str, str]:
    """Return the anchor of each expression that common.yaml names, and one for what refuses a line of a closed log."""
    with (RULES / "common.yaml").open(encoding="utf-8") as file:
        scalars = [event for event in yaml.parse(file) if isinstance(event, yaml.ScalarEvent)]
    named = {event.value: event.anchor for event in scalars if event.anchor}
    return named | {"False  # a closed log of this benchmark has no such line": "absent"}


def _plain(record: Record, name: str, state: Mapping[str, Any]) -> Record:
    """Return a record whose expressions need neither benchmarks.yaml nor constraints.py."""
    checks = record["CHECK"] if isinstance(record["CHECK"], list) else [record["CHECK"]]
    refusals = [text for text in checks if text.startswith("False ")]
    if refusals:  # whatever else is asked of such a line
        return {"NAME": record["NAME"], "CHECK": refusals}
    plain = record | {"CHECK": [text for each in checks for text in _plain_check(each, name, state)]}
    return {field: plain[field] for field in ("NAME", "REQ", "CHECK", "POST") if field in plain}


def _plain_check(check: str, name: str, state: Mapping[str, Any]) -> Iterator[str]:
    """Yield the expression that stands for `check`; none if `check` allows everything."""
    constrained = re.fullmatch(r"allows\((lines.+), (v\[.+)\)  # (.+)", check)
    if constrained:
        constraint, found, message = constrained.groups()
        for text in expression(eval(constraint, {"lines": state["lines"]}), found):
            yield f"{text}  # {message}"
    elif "benchmarks" in _variables(check):
        yield f"v['value'] == {name!r}  # the log is of a different benchmark"
    else:
        yield check


def expression(constraint: Constraint, found: str) -> Iterator[str]:
    """Yield the expression that is true if the value of the expression `found` meets a constraint; none if all do.

    It is true for the values for which constraints.allows is.
    """
    if "equals" in constraint:
        yield _equality(constraint["equals"], found)
    elif "one_of" in constraint:
        yield f"{found} in {constraint['one_of']!r}"
    elif "from" in constraint:
        yield f"type({found}) in (int, float) and {constraint['from']!r} <= {found} <= {constraint['to']!r}"


def _equality(value: object, found: str) -> str:
    if isinstance(value, bool):
        return f"{found} is {value!r}"
    # In Python 1 == True and 0 == False.
    return f"{found} == {value!r}" + (f" and type({found}) is not bool" if value in (0, 1) else "")


def _begin(code: str, state: Mapping[str, Any], records: Sequence[Record], expressions: Iterable[str]) -> str:
    """Return the BEGIN record: the variables that the expressions use, as common.yaml's BEGIN has set them."""
    keys = {record["NAME"] for record in records if "POST" in record}
    follows = {
        earlier: [later for later in dict.fromkeys(next_keys) if later in keys]
        for earlier, next_keys in state["follows"].items()
        if earlier in keys or earlier == "the beginning"
    }
    text = "\n".join(expressions)
    closed = state["closed"] and {entry: state["closed"][entry] for entry in re.findall(r"closed\['(\w+)'\]", text)}
    values = {**state, "follows": follows, "closed": closed}
    used = set().union(*map(_variables, text.splitlines())) & values.keys() - {"s", "math"}
    # The only variable that depends on more of the log than its benchmark.
    (keys_of_log,) = re.findall(r"^submission_keys = .+$", code, re.MULTILINE)
    lines = [
        f"global {', '.join(sorted(used))}",
        *(f"{name} = {_dictionary(value)}" for name, value in values.items() if name in used - {"submission_keys"}),
        keys_of_log,
        f"s.update({_dictionary(state['s'])})",
    ]
    return "- BEGIN:\n    CODE: |\n" + "".join(f"      {line}\n" for each in lines for line in each.splitlines())


def _dictionary(value: object) -> str:
    """Return a value in Python; a dictionary of more than a few entries has a line for each."""
    if isinstance(value, dict) and len(value) > 5:
        return "{\n" + "".join(f"    {key!r}: {each!r},\n" for key, each in value.items()) + "}"
    return repr(value)


def _variables(expressions: str) -> set[str]:
    """Return the names of the variables in expressions."""
    return {node.id for node in ast.walk(ast.parse(expressions)) if isinstance(node, ast.Name)}


def _record(record: Record, anchors: Mapping[str, str]) -> str:
    """Return a KEY record in YAML, on one line if it fits."""
    fields = {name: _yaml(value, anchors) for name, value in record.items()}
    line = f"- KEY: {{{', '.join(f'{name}: {text}' for name, text in fields.items())}}}"
    if len(line) <= _WIDTH and "\n" not in line:
        return line
    lines = ["- KEY:"]
    for name, value in record.items():
        if isinstance(value, list) and len(value) > 1:
            lines += [f"    {name}:", *(f"      - {_yaml(each, anchors)}" for each in value)]
        else:
            lines.append(f"    {name}: {fields[name]}")
    return "\n".join(lines)


def _yaml(value: str | list[str], anchors: Mapping[str, str]) -> str:
    """Return a value in YAML: an alias, a name, a text in quotes, or a list of these."""
    if isinstance(value, list):
        texts = [_yaml(each, anchors) for each in value]
        return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    if value in anchors:
        return f"*{anchors[value]}"
    if "\n" in value:
        return "|" + "".join(f"\n      {line}" for line in value.splitlines())
    return value if re.fullmatch(r"\w+", value) else json.dumps(value)
