"""A profile as tables of text: by kernel, and by layer."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from speech_recognition.errors import one_line
from speech_recognition.profiling.calls import PHASES, Call, Profile

_LONGEST_NAME = 72
"""Characters of a kernel's name that are shown; the template arguments of some take hundreds."""

_UTILISATION = {"sm": "SM %", "tensor": "tensor %", "occupancy": "occupancy %"}
"""Heading of each utilisation of a call."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Sums over some of a profile's calls."""

    name: str
    """Name of the kernel or of the layer."""
    calls: int
    """Number of calls."""
    ms: float
    """Duration of all of them, in milliseconds."""
    phases: dict[str, float]
    """Duration in each phase of the step, in milliseconds."""
    used: dict[str, float]
    """Mean of each utilisation that was recorded, weighted by duration, in percent."""


def by_kernel(profile: Profile) -> list[Group]:
    """Return the sums of each kernel, the longest first."""
    return sorted(_groups(profile.calls, lambda call: call.kernel), key=lambda group: -group.ms)


def by_layer(profile: Profile) -> list[Group]:
    """Return the sums of each layer in the order of the forward pass; what is outside every layer comes last."""
    groups = _groups(profile.calls, lambda call: call.place.layer)
    return sorted(groups, key=lambda group: group.name == "other")


def _groups(calls: Iterable[Call], key: Callable[[Call], str]) -> list[Group]:
    """Return the sums of the calls that have the same key, in the order of the keys' first calls."""
    members: dict[str, list[Call]] = {}
    for call in calls:
        members.setdefault(key(call), []).append(call)
    return [
        Group(
            name=name,
            calls=len(group),
            ms=sum(call.ms for call in group),
            phases={phase: sum(call.ms for call in group if call.place.phase == phase) for phase in PHASES},
            used={field: mean for field in _UTILISATION if (mean := _mean(group, field)) is not None},
        )
        for name, group in members.items()
    ]


def _mean(calls: Iterable[Call], field: str) -> float | None:
    """Return the mean of a utilisation over the time of the calls that have it; None if none has."""
    known = [(call.ms, value) for call in calls if (value := getattr(call, field)) is not None]
    total = sum(ms for ms, _ in known)
    return sum(ms * value for ms, value in known) / total if total else None


def kernel_table(profile: Profile, rows: int) -> str:
    """Return a table of the `rows` kernels that took longest, and a line for the others."""
    groups = by_kernel(profile)
    lines = [
        ["ms", "share", "calls", *_used_heads(groups), "kernel" if profile.unit == "GPU kernels" else "operation"],
        *(
            [*_figures(each, profile), str(each.calls), *_used(each, groups), _short(each.name)]
            for each in groups[:rows]
        ),
    ]
    rest = groups[rows:]
    if rest:
        ms = sum(each.ms for each in rest)
        figures = [f"{ms:.2f}", _share(ms, profile), str(sum(each.calls for each in rest))]
        lines.append([*figures, *([""] * len(_used_heads(groups))), f"{len(rest)} others"])
    return _aligned(lines)


def layer_table(profile: Profile) -> str:
    """Return a table of the layers, with the time of each in the forward and the backward pass."""
    groups = by_layer(profile)
    return _aligned(
        [
            ["ms", "share", "forward", "backward", *_used_heads(groups), "layer"],
            *(
                [
                    *_figures(each, profile),
                    f"{each.phases['forward']:.2f}",
                    f"{each.phases['backward']:.2f}",
                    *_used(each, groups),
                    _short(each.name),
                ]
                for each in groups
            ),
        ]
    )


def _figures(group: Group, profile: Profile) -> list[str]:
    return [f"{group.ms:.2f}", _share(group.ms, profile)]


def _share(ms: float, profile: Profile) -> str:
    return f"{100 * ms / profile.ms:.1f}%" if profile.ms else "-"


def _used_heads(groups: Sequence[Group]) -> list[str]:
    """Return the headings of the utilisations that any of the groups has."""
    return [head for field, head in _UTILISATION.items() if any(field in group.used for group in groups)]


def _used(group: Group, groups: Sequence[Group]) -> list[str]:
    """Return a cell for each heading of `_used_heads(groups)`."""
    fields = [field for field in _UTILISATION if any(field in each.used for each in groups)]
    return [f"{group.used[field]:.1f}" if field in group.used else "-" for field in fields]


def _short(name: str) -> str:
    name = one_line(name)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as text; all columns but the last are aligned to the right."""
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]) - 1)]
    return "\n".join(
        "  ".join([*(cell.rjust(width) for cell, width in zip(line[:-1], widths, strict=True)), line[-1]])
        for line in lines
    )
