"""What each chart of one or more runs shows."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from speech_recognition.errors import one_line
from speech_recognition.figures import new_figure
from speech_recognition.report.canvas import (
    BAD,
    COLOURS,
    INK,
    SHEET,
    STYLE,
    Axes,
    add_axes,
    finish,
    save_png,
    save_svg,
)
from speech_recognition.report.phases import PHASES, phases
from speech_recognition.report.record import Record

_MOST_LABELS = 4  # runs that a chart's own legend has room for
_MOST_NAMES, _LONGEST_NAME = 12, 9  # names on an axis, and characters of one: more would overlap
_CHARACTERS = 52  # of all names on an axis: more have no room unless they are slanted
_MOST_BARS = 96  # thinner bars could not be seen
_LENGTH_BINS = 6

Records = Sequence[Record]


def draw_charts(folder: Path, records: Records) -> list[tuple[str, str]]:
    """Write an SVG into `folder` for each chart that the runs have data for; return the files' names and titles."""
    drawn = []
    for name, chart in _CHARTS.items():
        with new_figure(*SHEET, STYLE) as figure:
            figure.set_layout_engine("none")
            axes = add_axes(figure)
            if chart.draw(axes, records):
                finish(axes, chart.title)
                save_svg(figure, folder / f"{name}.svg")
                drawn.append((f"{name}.svg", chart.title))
    return drawn


def draw_curves(path: Path, record: Record) -> None:
    """Write a PNG of a run's loss and error rates over its epochs."""
    with new_figure(2 * SHEET[0], SHEET[1], STYLE) as figure:
        figure.set_layout_engine("none")
        for place, chart in enumerate((_CHARTS["loss"], _CHARTS["error_rates"])):
            axes = add_axes(figure, place)
            chart.draw(axes, [record])
            finish(axes, chart.title)
        save_png(figure, path)


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _each(records: Records) -> Iterator[tuple[Record, str, str | None]]:
    """Yield each run with its colour and its label: its number on the page, or None if the legend has no room."""
    labelled = 1 < len(records) <= _MOST_LABELS
    for number, record in enumerate(records):
        yield record, _colour(number), str(number + 1) if labelled else None


def _epoch_position(record: Record) -> pd.Series:
    """Return the position in epochs of each row of steps; 1.5 is the middle of the second epoch."""
    samples = record.train_samples or record.steps["utterances"].max()
    position: pd.Series = record.steps["epoch"] - 1 + record.steps["utterances"] / samples
    return position


def _between_steps(record: Record, column: str) -> pd.Series:
    """Return the increase of the sum in `column` since the row before; the sum starts at 0 in each epoch."""
    return record.steps.groupby("epoch")[column].diff().fillna(record.steps[column])


def _error_rates(axes: Axes, records: Records) -> bool:
    shown = [record for record in records if not record.epochs.empty]
    for record, colour, label in _each(records):
        if record.epochs.empty:
            continue
        only = "WER" if len(records) == 1 else label
        axes.plot(record.epochs["epoch"], record.epochs["wer"], "o-", color=colour, markersize=4, label=only)
        if len(records) == 1:  # the CER of several runs would double the lines and say the same
            axes.plot(record.epochs["epoch"], record.epochs["cer"], "s:", color=colour, markersize=3, label="CER")
    for target in sorted({record.target_wer for record in shown}):
        axes.axhline(target, color=BAD, linestyle="--", linewidth=1, label=f"target {target:g}")
    axes.set(ylabel="percent" if len(records) == 1 else "WER, percent")
    axes.set_ylim(bottom=0)
    _epochs(axes, records)
    return bool(shown)


def _loss(axes: Axes, records: Records) -> bool:
    for record, colour, label in _each(records):
        alone = len(records) == 1
        if not record.steps.empty:
            loss = _between_steps(record, "loss") / _between_steps(record, "utterances")
            few = "ten steps" if alone else None
            axes.plot(_epoch_position(record), loss, color=colour, alpha=0.4, linewidth=1, label=few)
        if "loss" in record.epochs:
            epochs, losses = record.epochs["epoch"], record.epochs["loss"]
            axes.plot(epochs - 0.5, losses, "o-", color=colour, markersize=3, label="epoch" if alone else label)
    axes.set(ylabel="nats per utterance", yscale="log")
    # A log axis labels its ticks with formulas, which figures do not parse; a short axis labels its minor ticks too.
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    _epochs(axes, records)
    return any("loss" in record.epochs for record in records)


def _learning_rate(axes: Axes, records: Records) -> bool:
    for record, colour, label in _each(records):
        if not record.steps.empty:
            axes.plot(_epoch_position(record), record.steps["learning_rate"], color=colour, label=label)
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:g}")
    _epochs(axes, records)
    return any(not record.steps.empty for record in records)


def _throughput(axes: Axes, records: Records) -> bool:
    for record, colour, label in _each(records):
        if record.steps.empty:
            continue
        rate = _between_steps(record, "audio") / _between_steps(record, "seconds")
        axes.plot(_epoch_position(record), rate, color=colour, alpha=0.4, linewidth=1)
        if record.audio_rate is not None:
            mean = f"mean {record.audio_rate:.0f}" if len(records) == 1 else label
            axes.axhline(record.audio_rate, color=colour, linestyle="--", linewidth=1.2, label=mean)
    axes.set(ylabel="seconds of audio per second")
    axes.set_ylim(bottom=0)
    _epochs(axes, records)
    if len(records) > 1:
        axes.set(xlabel="epoch; the dashed lines are means")
    return any(not record.steps.empty for record in records)


def _epochs(axes: Axes, records: Records) -> None:
    """Make the horizontal axis one of whole epochs, from 0 to the last that a run has begun."""
    from matplotlib.ticker import MaxNLocator

    begun = [table["epoch"].max() for record in records for table in (record.epochs, record.steps) if not table.empty]
    axes.set_xlim(0, 1.02 * max([1, *begun]))
    axes.set(xlabel="epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _time(axes: Axes, records: Records) -> bool:
    spent = [phases(record) for record in records]
    axes.grid(axis="y", visible=False)
    axes.grid(axis="x", visible=True)
    axes.set(xlabel="seconds", ylabel="initialise comes before run_start" if len(records) == 1 else "")
    if len(records) == 1:
        _time_of_one(axes, spent[0])
    else:
        _time_of_several(axes, spent)
    axes.invert_yaxis()
    return True


def _time_of_one(axes: Axes, spent: dict[str, float]) -> None:
    """Draw a bar for each phase, with its name and seconds above it."""
    axes.barh(range(len(PHASES)), [spent[phase] for phase in PHASES], height=0.32, color=_colour(0))
    axes.set_ylim(-0.75, len(PHASES) - 0.6)
    axes.set_yticks([])
    for row, phase in enumerate(PHASES):
        axes.annotate(phase, (0, row - 0.24), xycoords=("axes fraction", "data"), fontsize=8)
        text = f"{spent[phase]:.1f}"
        axes.annotate(text, (1, row - 0.24), xycoords=("axes fraction", "data"), ha="right", fontsize=8)


def _time_of_several(axes: Axes, spent: Sequence[dict[str, float]]) -> None:
    """Draw a bar for each run, of which every phase is a part."""
    total, left = sum(sum(each.values()) for each in spent), np.zeros(len(spent))
    for phase, colour in zip(PHASES, _PHASE_COLOURS, strict=True):
        seconds = np.array([each[phase] for each in spent])
        label = phase if seconds.sum() > 0.01 * total else None  # thinner parts cannot be seen
        axes.barh(range(len(spent)), seconds, left=left, color=colour, height=0.6, label=label)
        left += seconds
    shown = len(spent) <= 2 * _MOST_NAMES
    axes.set(yticks=range(len(spent)), yticklabels=[str(number + 1) if shown else "" for number in range(len(spent))])
    axes.tick_params(axis="y", labelsize=8 if len(spent) <= _MOST_NAMES else 6)
    axes.legend(ncols=len(PHASES), loc="lower left", bbox_to_anchor=(-0.15, 1.0))


# Of medium brightness, to be seen on a light and on a dark page, and none of them the colour of a run.
_PHASE_COLOURS = ("#9aa5b1", "#c8a951", "#5f7f9e", "#c0604a", "#6a9a78", "#9479b0")


def _rates(records: Records, group: Callable[[pd.DataFrame], Any]) -> dict[int, pd.Series]:
    """Return the WER in percent of each group of utterances, by the run's number: all errors divided by all words."""
    rates = {}
    for number, record in enumerate(records):
        if not record.utterances.empty:
            counts = record.utterances.groupby(group(record.utterances), observed=True)[["word_errors", "words"]].sum()
            rates[number] = 100 * counts["word_errors"] / counts["words"]
    return rates


def _bars(axes: Axes, rates: dict[int, pd.Series], names: Sequence[str], xlabel: str) -> bool:
    """Draw a bar for each name and run; return whether there are names to compare."""
    width = 0.8 / max(len(rates), 1)
    for place, (number, each) in enumerate(rates.items()):
        positions = np.arange(len(names)) - 0.4 + (place + 0.5) * width
        bars = axes.bar(positions, [each.get(name, np.nan) for name in names], width * 0.92, color=_colour(number))
        if len(rates) * len(names) <= _MOST_NAMES:
            digits = "%.1f" if len(rates) * len(names) <= _MOST_NAMES // 2 else "%.0f"
            axes.bar_label(bars, fmt=digits, fontsize=7.5, color=INK, padding=1)
    shown = [_short(name) if len(names) <= _MOST_NAMES else "" for name in names]
    axes.set(ylabel="WER, percent", xticks=range(len(names)))
    axes.tick_params(axis="x", length=0, labelsize=7.5)
    axes.margins(y=0.1)  # room for the figures above the bars
    slanted = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
    crowded = max(map(len, shown), default=0) * len(names) > _CHARACTERS
    axes.set_xticklabels(shown, **(slanted if crowded else {}))
    axes.set_xlabel("" if crowded else xlabel)  # slanted names need its room
    return len(names) > 1


def _short(name: object) -> str:
    """Return a name from a table as text for an axis: printable, and with ... if it is long."""
    text = one_line(str(name))
    return text if len(text) <= _LONGEST_NAME else f"{text[: _LONGEST_NAME - 1]}…"


def _by_subset(axes: Axes, records: Records) -> bool:
    rates = _rates(records, lambda table: table["subset"])
    names = list(dict.fromkeys(name for each in rates.values() for name in each.index))
    return _bars(axes, rates, names[:_MOST_NAMES], "subset of val")


def _by_length(axes: Axes, records: Records) -> bool:
    """Draw the WER for six ranges of length, each of which has about as many utterances."""
    tables = [record.utterances["seconds"] for record in records if not record.utterances.empty]
    if not tables:
        return False
    seconds = pd.concat(tables)
    digits = 1 if seconds.max() < 10 else 0
    edges = sorted(set(np.quantile(seconds, np.linspace(0, 1, _LENGTH_BINS + 1)).round(digits).tolist()))
    names = [f"{one:.{digits}f}-{other:.{digits}f}" for one, other in pairwise(edges)]
    if not names:  # one length
        return False
    edges[0], edges[-1] = 0.0, np.inf  # rounding may have moved them past an utterance
    rates = _rates(records, lambda table: pd.cut(table["seconds"], edges, labels=names))
    return _bars(axes, rates, names, "seconds of audio")


def _by_speaker(axes: Axes, records: Records) -> bool:
    """Draw the WER of each speaker, in the order of the first run's; of too many speakers, those with the highest."""
    rates = _rates(records, lambda table: table["speaker"].astype(str))
    if not rates:
        return False
    order = list(next(iter(rates.values())).sort_values(kind="stable").index)
    names = order[-(_MOST_BARS // len(rates) or 1) :]
    some = f"the {len(names)} speakers of {len(order)} with the highest WER"
    return _bars(axes, rates, names, f"{len(order)} speakers, lowest WER first" if names == order else some)


class _Chart(NamedTuple):
    title: str
    draw: Callable[[Axes, Records], bool]
    """Draws the runs on the axes; returns False if there is nothing to show."""


_CHARTS: dict[str, _Chart] = {
    "error_rates": _Chart("Error rates on val", _error_rates),
    "loss": _Chart("Training loss (CTC)", _loss),
    "throughput": _Chart("Throughput of training", _throughput),
    "time": _Chart("Where the time went", _time),
    "learning_rate": _Chart("Learning rate", _learning_rate),
    "wer_by_length": _Chart("WER by length", _by_length),
    "wer_by_speaker": _Chart("WER by speaker", _by_speaker),
    "wer_by_subset": _Chart("WER by subset", _by_subset),
}
"""Each chart by the name of its file, in the page's order."""
