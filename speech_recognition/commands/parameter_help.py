"""Help text of the parameters: the default, the presets that differ, the meaning and the bounds of each."""

import ast
import dataclasses
import inspect
import itertools
import textwrap
import typing
from collections.abc import Iterator

from params import PRESETS
from speech_recognition import parameters, settings
from speech_recognition.commands import WIDTH

FOLLOWED, FOLLOWERS = "mlperf_2018", ("original_paper", "aggressive_lr")
"""A preset, and the presets for which the help lists only the values that differ from it."""


def parameters_help() -> str:
    """Return a paragraph for each parameter, in the order of parameters.py; at most WIDTH columns wide."""
    presets = {name: make() for name, make in PRESETS.items()}
    paragraphs = []
    for section, kind in settings.sections().items():
        meanings = _meanings(kind)
        hints = typing.get_type_hints(kind, include_extras=True)
        for field in dataclasses.fields(kind):
            values = {name: getattr(getattr(each, section), field.name) for name, each in presets.items()}
            head = f"{section}.{field.name}={_text(field.default)}{_differing(values, field.default)}: "
            meaning = meanings[field.name]
            paragraphs.append(_wrapped(head + "; ".join([meaning, *_bounds(hints[field.name], meaning)])))
    return "\n".join(paragraphs)


def _differing(values: dict[str, object], default: object) -> str:
    """Return the presets whose value is not the default, such as ` (reference, tensorflow 128; mini 16)`."""
    groups: dict[str, list[str]] = {}
    for name, value in values.items():
        if value != (values[FOLLOWED] if name in FOLLOWERS else default):
            groups.setdefault(_text(value), []).append(name)
    listed = "; ".join(f"{', '.join(names)} {value}" for value, names in groups.items())
    return f" ({listed})" if listed else ""


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _bounds(hint: object, meaning: str) -> list[str]:
    """Return the range of a number, `1 to 8`, or the choices of a word that its meaning does not list already."""
    if typing.get_origin(hint) is typing.Literal and any(choice not in meaning for choice in typing.get_args(hint)):
        return [" or ".join(typing.get_args(hint))]
    return [str(bounds).removeprefix("from ") for bounds in getattr(hint, "__metadata__", ())]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False)


def _meanings(kind: type) -> dict[str, str]:
    """Return the line under each field of a section, read from the source: Python keeps no docstring of a field."""
    body = next(node.body for node in _classes() if node.name == kind.__name__)
    return dict(_documented(body))


def _classes() -> Iterator[ast.ClassDef]:
    return (node for node in _MODULE.body if isinstance(node, ast.ClassDef))


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, document in itertools.pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            assert isinstance(document, ast.Expr) and isinstance(document.value, ast.Constant)
            yield field.target.id, " ".join(str(document.value.value).split())


_MODULE = ast.parse(inspect.getsource(parameters))
