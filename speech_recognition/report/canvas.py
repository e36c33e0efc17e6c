"""The sheet on which every chart is drawn: plot areas of one size, and colours that follow the page's style."""

import io
import re
from pathlib import Path
from typing import Any

from speech_recognition.files import atomic_write

Axes = Any
Figure = Any

COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#b58900",
    "#56b4e9",
    "#5b4b8a",
    "#8c6d31",
    "#a3195b",
    "#6b7a1e",
)
"""Colours of the runs, in turn: one for each run of an official series, most of them from Okabe and Ito's palette."""

PAPER, INK, GREY, LINE, BAD = "#ffffff", "#16191d", "#5a6472", "#dde1e6", "#b00020"
"""Colours of the sheet, its titles, its axes, its grid and the line of the target."""

_VARIABLES = {PAPER: "--paper", INK: "--ink", GREY: "--grey", LINE: "--line", BAD: "--bad"} | {
    colour: f"--run{number}" for number, colour in enumerate(COLOURS)
}
"""The page's name for each colour: `page.css` gives it a second value in the dark."""

SHEET = (3.8, 2.7)
"""Width and height of a chart in inches."""

_LEFT, _RIGHT, _BOTTOM, _TOP = 36, 8, 39, 42
"""Margins around the plot area in points: equal in all charts, so that they align on the page."""

STYLE: Any = {
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.facecolor": "none",
    "figure.facecolor": PAPER,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": LINE,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "legend.handlelength": 1.3,
    "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.0,
    "legend.borderaxespad": 0.2,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched and copied
}


def add_axes(figure: Figure, place: int = 0) -> Axes:
    """Return new axes in the sheet at `place`, counted from 0 at the left; the figure is any number of sheets wide."""
    width, height = (72 * inches for inches in figure.get_size_inches())
    left, across = 72 * SHEET[0] * place + _LEFT, 72 * SHEET[0] - _LEFT - _RIGHT
    return figure.add_axes((left / width, _BOTTOM / height, across / width, 1 - (_BOTTOM + _TOP) / height))


def finish(axes: Axes, title: str) -> None:
    """Write the title, and in a row under it the unit of the vertical axis and the legend, if there is one."""
    above = {"xy": (0, 1), "xycoords": "axes fraction", "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(title, xytext=(-30, 24), weight="bold", fontsize=10, **above)
    axes.annotate(axes.get_ylabel(), xytext=(-30, 8), color=GREY, fontsize=8, **above)
    axes.set_ylabel("")
    handles, labels = axes.get_legend_handles_labels()
    if labels and not axes.get_legend():
        axes.legend(handles, labels, ncols=len(labels), loc="lower right", bbox_to_anchor=(1.02, 1.0))


def save_svg(figure: Figure, path: Path) -> None:
    """Write the figure as an SVG file. Its colours are variables of the page, and have values of their own elsewhere.

    Equal figures make equal files. Two charts share no id, so that one page can hold both.
    """
    import matplotlib

    stream = io.BytesIO()
    with matplotlib.rc_context({"svg.hashsalt": path.name}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = re.sub(r"(?<=: )#[0-9a-f]{6}\b", _variable, stream.getvalue().decode())
    used = {name for pair in re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', text) for name in pair}
    text = re.sub(r' id="([^"]*)"', lambda match: match[0] if match[1] in used else "", text)
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8")


def save_png(figure: Figure, path: Path) -> None:
    """Write the figure as a PNG file."""
    with atomic_write(path) as partial:
        figure.savefig(partial, format="png", dpi=200)


def _variable(colour: re.Match[str]) -> str:
    name = _VARIABLES.get(colour[0])
    return f"var({name}, {colour[0]})" if name else colour[0]
