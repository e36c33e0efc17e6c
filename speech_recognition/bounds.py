"""Bounds of parameters: the range that a field's annotation states, and the checks of a section of fields."""

from dataclasses import dataclass
from typing import ClassVar, get_type_hints


def check(holds: bool, name: str, value: object, rule: object) -> None:
    """Raise ValueError, which names the parameter, its value and the rule, unless the rule `holds`."""
    if not holds:
        raise ValueError(f"{name}={value}: must be {rule}")


@dataclass(frozen=True)
class Range:
    """Bounds of a number, shown in the help; `above` excludes the number `least`, `below` the number `most`."""

    least: float
    most: float
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Return whether `value` is within the bounds; NaN is not."""
        inside = self.least <= value <= self.most
        return inside and not (self.above and value == self.least) and not (self.below and value == self.most)

    def __str__(self) -> str:
        if self.above or self.below:
            start, end = "above" if self.above else "at least", "below" if self.below else "at most"
            return f"{start} {self.least:g}, {end} {self.most:g}"
        return f"from {self.least} to {self.most}"


class Section:
    """Base of the sections, which checks each value against its Range, then the values against each other."""

    _name: ClassVar[str]

    def __init_subclass__(cls, name: str) -> None:
        cls._name = name

    def __post_init__(self) -> None:
        for name, hint in get_type_hints(type(self), include_extras=True).items():
            for bounds in getattr(hint, "__metadata__", ()):
                value = getattr(self, name)
                check(value is None or bounds.holds(value), f"{self._name}.{name}", value, bounds)
        self._check_together()

    def _check_together(self) -> None:
        """Raise ValueError if values contradict each other."""
