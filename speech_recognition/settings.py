"""`Params` from outside: presets by name, `--set section.name=value`, dictionaries."""

import dataclasses
import difflib
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from params import PRESETS, Params, Stage
from speech_recognition.errors import InputError

PARAMS_NAME = "params.json"
"""The parameters in a run's folder, as `to_dict` gives them."""

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def preset(name: str) -> Params:
    """The preset called `name`. Raises InputError naming the nearest one."""
    if name not in PRESETS:
        raise InputError(f"preset {name!r} is unknown{_nearest(name, PRESETS)}; choose from {', '.join(PRESETS)}")
    return PRESETS[name]()


def apply(params: Params, assignments: Sequence[str]) -> Params:
    """`params` with each `section.name=value` set, checked together at the end.

    Raises InputError naming the parameter that is unknown, of the wrong type or out of range.
    """
    changes: dict[str, dict[str, object]] = {}
    fields = {f"{section}.{field.name}": field for section, field in _fields()}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise InputError(f"--set {assignment}: must be section.name=value")
        if name not in fields:
            raise InputError(f"--set {assignment}: no parameter {name!r}{_nearest(name, fields)}")
        section, _, key = name.partition(".")
        changes.setdefault(section, {})[key] = _parse(name, text, _type(section, key))
    try:
        sections = {name: dataclasses.replace(getattr(params, name), **keys) for name, keys in changes.items()}
        return dataclasses.replace(params, **sections)
    except ValueError as error:
        raise InputError(str(error)) from None


def to_dict(params: Params) -> dict[str, Any]:
    """Plain nested dictionary of `params`, for JSON and checkpoints."""
    return dataclasses.asdict(params)


def from_dict(values: Mapping[str, Any]) -> Params:
    """The inverse of `to_dict`. Raises ValueError, TypeError or KeyError on anything else."""
    made = {name: kind(**values[name]) for name, kind in sections().items()}
    stages = tuple(Stage(**stage) for stage in values["stages"])
    return Params(preset=values["preset"], **made, stages=stages)


def differences(before: Params, now: Params) -> dict[str, tuple[object, object]]:
    """What is not the same: the values in `before` and in `now` by section.name, or by preset or stages."""
    values = [_flat(params) for params in (before, now)]
    return {name: (old, values[1][name]) for name, old in values[0].items() if old != values[1][name]}


def assignments(params: Params) -> list[str]:
    """The `section.name=value` that make `params` of its preset."""
    changes = differences(preset(params.preset), params)
    return [f"{name}={str(new).lower() if isinstance(new, bool) else new}" for name, (_, new) in changes.items()]


def _flat(params: Params) -> dict[str, object]:
    sections = {f"{section}.{field.name}": getattr(params, section) for section, field in _fields()}
    values = {name: getattr(section, name.partition(".")[2]) for name, section in sections.items()}
    return values | {"preset": params.preset, "stages": params.stages}


def sections() -> dict[str, type[Any]]:
    """Return the sections of `Params` by name: those of its fields that are dataclasses."""
    hints: dict[str, type[Any]] = typing.get_type_hints(Params)
    return {name: kind for name, kind in hints.items() if dataclasses.is_dataclass(kind)}


def _fields() -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    for section, kind in sections().items():
        for field in dataclasses.fields(kind):
            yield section, field


def _type(section: str, key: str) -> Any:
    return typing.get_type_hints(sections()[section])[key]


def _parse(name: str, text: str, kind: Any) -> object:
    if not text.isprintable():
        raise InputError(f"{name}={text!r}: must be printable")
    if typing.get_origin(kind) is typing.Literal:
        choices = typing.get_args(kind)
        if text in choices:
            return text
        raise InputError(f"{name}={text}: must be one of {', '.join(choices)}")
    if kind is bool:
        if text.lower() in _BOOLEANS:
            return _BOOLEANS[text.lower()]
        raise InputError(f"{name}={text}: must be true or false")
    try:
        return kind(text)
    except ValueError:
        noun = {int: "a whole number", float: "a number"}[kind]
        raise InputError(f"{name}={text}: must be {noun}") from None


def _nearest(name: str, known: Mapping[str, object]) -> str:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f" (did you mean {matches[0]}?)" if matches else ""
