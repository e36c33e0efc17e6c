"""The chart of a profile: the time of each layer, forward and backward."""

from pathlib import Path
from typing import Any

from speech_recognition.figures import new_figure
from speech_recognition.files import atomic_write
from speech_recognition.profiling.calls import PHASES, Profile
from speech_recognition.profiling.table import Group, by_layer

_COLOURS = dict(zip(PHASES, ("#0072b2", "#d55e00", "#009e73", "#999999"), strict=True))
"""Colour of each phase, from Okabe and Ito's palette for colour-blind readers, and grey."""

_STYLE: Any = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False}
_MOST_LAYERS = 40
_LONGEST_NAME = 24


def draw_layers(path: Path, profile: Profile) -> None:
    """Write a PNG with a bar for each layer, divided into the phases of the step."""
    groups = by_layer(profile)[:_MOST_LAYERS]
    with new_figure(7.0, 1.4 + 0.26 * len(groups), _STYLE) as figure:
        axes = figure.subplots()
        left = [0.0] * len(groups)
        for phase in PHASES:
            widths = [group.phases[phase] for group in groups]
            if any(widths):
                axes.barh(range(len(groups)), widths, 0.7, left, color=_COLOURS[phase], label=phase)
                left = [start + width for start, width in zip(left, widths, strict=True)]
        for place, group in enumerate(groups):
            axes.text(group.ms, place, f"  {_label(group, profile)}", va="center", fontsize=7)
        axes.set_yticks(range(len(groups)), [group.name[:_LONGEST_NAME] for group in groups])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.45 * max(group.ms for group in groups) or 1)  # room for the texts
        axes.set(xlabel=f"milliseconds in {profile.unit}")
        axes.set_title(f"Time by layer\n{profile.about}".strip(), loc="left", fontsize=9)
        figure.legend(loc="outside lower center", ncols=len(PHASES))
        with atomic_write(path) as partial:
            figure.savefig(partial, format="png", dpi=180)


def _label(group: Group, profile: Profile) -> str:
    """Return a layer's share of the time, and its utilisation where it was recorded."""
    parts = [f"{100 * group.ms / profile.ms:.1f}%"] if profile.ms else []
    parts += [
        f"{name} {group.used[field]:.0f}%"
        for field, name in (("sm", "SM"), ("tensor", "tensor cores"))
        if field in group.used
    ]
    return ", ".join(parts)
