"""What a profile is made of: calls of kernels, each with the layer that made it."""

import re
from dataclasses import dataclass
from typing import NamedTuple


class Place(NamedTuple):
    """Part of the training step: a layer, and what the step does there."""

    layer: str
    """Name in the module tree, such as conv.0; or features, loss, optimizer, other."""
    phase: str
    """One of PHASES."""

    def __str__(self) -> str:
        """Return the name of the range that marks the place in a recording, such as `forward conv.0`."""
        return f"{self.phase} {self.layer}"


PHASES = ("forward", "backward", "update", "other")
"""Phases of a step; "other" is outside every range."""

OTHER = Place("other", "other")
"""Place of a call that no range encloses."""

RANGE = re.compile(r"(forward|backward|update) ([\w.]+)")
"""Name of a range, as `Place` writes it."""


def place_of(name: str) -> Place | None:
    """Return the place that a range of this name marks; None if it is not one of ours."""
    match = RANGE.fullmatch(name)
    return Place(match[2], match[1]) if match else None


@dataclass(frozen=True, kw_only=True)
class Call:
    """One run of a kernel on a GPU, or of an operation on a CPU."""

    kernel: str
    """Name of the kernel or operation."""
    place: Place
    """Part of the step that made the call."""
    ms: float
    """Duration in milliseconds; for an operation, without the operations that it calls."""
    sm: float | None = None
    """Utilisation of the streaming multiprocessors, in percent of their peak; None if it was not recorded."""
    tensor: float | None = None
    """Utilisation of the tensor cores, in percent of their peak; None if it was not recorded."""
    occupancy: float | None = None
    """Warps that are active, in percent of what fits; an estimate in torch's traces. None if it was not recorded."""


@dataclass(frozen=True, kw_only=True)
class Profile:
    """The calls of one recording."""

    calls: list[Call]
    """Calls in the order in which they began, at least one."""
    unit: str
    """Kind of the calls: GPU kernels or CPU operations."""
    about: str = ""
    """Facts about the window in words, such as `mini, batch 16, 3 steps of 170.2 ms`; empty if the file has none."""

    @property
    def ms(self) -> float:
        """Duration of all calls together, in milliseconds."""
        return sum(call.ms for call in self.calls)
