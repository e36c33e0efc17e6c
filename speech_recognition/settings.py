"""Conversion of `Params` from and to preset names, `--set section.name=value`, dictionaries and JSON."""

import dataclasses
import difflib
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from params import PRESETS
from speech_recognition.errors import InputError
from speech_recognition.files import read_json
from speech_recognition.parameters import Params, Stage

_BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def preset(name: str) -> Params:
    """Return the preset called `name`. Raises InputError, which suggests a similar name, if it is unknown."""
    if name not in PRESETS:
        raise InputError(f"preset {name!r} is unknown{_nearest(name, PRESETS)}; choose from {', '.join(PRESETS)}")
    return PRESETS[name]()


def apply(params: Params, assignments: Sequence[str]) -> Params:
    """Return `params` with each assignment `section.name=value` applied; checks the values after the last one.

    Raises InputError, which names the parameter, for an unknown name, a wrong type or a value out of range.
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
        # All changes of a section at once: one after the other, two valid values could pass through an invalid pair.
        sections = {name: dataclasses.replace(getattr(params, name), **keys) for name, keys in changes.items()}
        return dataclasses.replace(params, **sections)
    except ValueError as error:
        raise InputError(str(error)) from None


def to_dict(params: Params) -> dict[str, Any]:
    """Return `params` as a nested dictionary of plain values, for JSON and checkpoints."""
    return dataclasses.asdict(params)


def from_dict(values: object) -> Params:
    """Return the parameters that `to_dict` turned into `values`. Raises ValueError, which names the parameter.

    The values may come from a stranger's file: every name must be present and known, every value must have its type
    and be within its bounds. Files of a different version are refused, since their parameters may mean something else.
    """
    content = _complete("", values, ["preset", *sections(), "stages"])
    if content["preset"] not in [*PRESETS]:  # a list, as the value may be an object, which cannot be hashed
        raise ValueError(f"preset={content['preset']!r}: must be one of {', '.join(PRESETS)}")
    made = {name: _made(f"{name}.", kind, content[name]) for name, kind in sections().items()}
    if not isinstance(content["stages"], list | tuple):
        raise ValueError("stages: must be a list")
    stages = [_made(f"stages[{number}].", Stage, each) for number, each in enumerate(content["stages"])]
    return Params(preset=content["preset"], **made, stages=tuple(stages))


def read_params(path: Path) -> Params:
    """Return the parameters in a run's `params.json`. Raises InputError, which names the file and the parameter."""
    advice = "name the folder of a run of this version"
    values = read_json(path, advice)
    try:
        return from_dict(values)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: {error}; {advice}") from None


def _complete(prefix: str, values: object, names: Collection[str]) -> dict[str, Any]:
    """Return `values`. Raises ValueError unless it is a dictionary with exactly these `names`."""
    if not isinstance(values, dict):
        raise ValueError(f"{prefix.rstrip('.') or 'the parameters'}: must be an object")
    for name in (each for each in values if each not in names):
        raise ValueError(f"parameter {prefix}{name} is unknown (a different version of this benchmark wrote it)")
    for name in names:
        if name not in values:
            raise ValueError(f"parameter {prefix}{name} is missing (a different version of this benchmark wrote it)")
    return values


def _made(prefix: str, kind: type[Any], values: object) -> Any:
    names, hints = [field.name for field in dataclasses.fields(kind)], typing.get_type_hints(kind)
    content = _complete(prefix, values, names)
    return kind(**{name: _typed(f"{prefix}{name}", content[name], hints[name]) for name in names})


def _typed(name: str, value: object, kind: Any) -> object:
    """Return `value`, converted if it is an int for a float. Raises ValueError if its type is not `kind`."""
    if typing.get_origin(kind) is typing.Literal:
        if value not in [*typing.get_args(kind)]:
            raise ValueError(f"{name}={value!r}: must be one of {', '.join(typing.get_args(kind))}")
        return value
    kinds = typing.get_args(kind) or (kind,)
    # JSON may write 5.0 as 5. Above 2^53 a float would be a different number, and above 10^308 an error.
    if float in kinds and type(value) is int and abs(value) <= 2**53:
        return float(value)
    if type(value) not in kinds:  # the exact type: True would pass for an int
        raise ValueError(f"{name}={value!r}: must be {_NOUNS[kinds[0]]}")
    if isinstance(value, str) and not value.isprintable():
        raise ValueError(f"{name}={value!r}: must be printable")
    return value


_NOUNS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def differences(before: Params, now: Params) -> dict[str, tuple[object, object]]:
    """Return the old and new value of each parameter that differs; keys are section.name, preset and stages."""
    values = [_flat(params) for params in (before, now)]
    return {name: (old, values[1][name]) for name, old in values[0].items() if old != values[1][name]}


def value(params: Params, name: str) -> object:
    """Return the value of the parameter `section.name`."""
    section, _, key = name.partition(".")
    return getattr(getattr(params, section), key)


def assignments(params: Params) -> list[str]:
    """Return the assignments `section.name=value` that turn the preset of `params` into `params`."""
    changes = differences(preset(params.preset), params)
    return [f"{name}={str(new).lower() if isinstance(new, bool) else new}" for name, (_, new) in changes.items()]


def _flat(params: Params) -> dict[str, object]:
    names = [f"{section}.{field.name}" for section, field in _fields()]
    return {name: value(params, name) for name in names} | {"preset": params.preset, "stages": params.stages}


def sections() -> dict[str, type[Any]]:
    """Return the classes of the sections of `Params` by name."""
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
        raise InputError(f"{name}={text}: must be {_NOUNS[kind]}") from None


def _nearest(name: str, known: Mapping[str, object]) -> str:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    return f" (did you mean {matches[0]}?)" if matches else ""
