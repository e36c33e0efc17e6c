"""The charts of one or more runs, each small enough to read on a phone."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from speech_recognition.figures import new_figure
from speech_recognition.files import atomic_write
from speech_recognition.report.phases import PHASES, phases
from speech_recognition.report.record import Record

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8c6d31")
"""Colours of the runs, in turn; the first seven are from Okabe and Ito's palette for colour-blind readers."""

_STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_LONGEST_NAME, _MOST_NAMES = 36, 12  # characters of a run's name, names on an axis: more would overlap
_HEIGHT = 3.0  # inches
_LENGTH_BINS = 6

Records = Sequence[Record]
Axes = Any


def draw_charts(folder: Path, records: Records) -> list[tuple[str, str]]:
    """Write a PNG into `folder` for each chart that the runs have data for; return the files' names and titles."""
    drawn = []
    for name, (title, draw) in _CHARTS.items():
        with new_figure(4.6, _HEIGHT, _STYLE) as figure:
            axes = figure.subplots()
            axes.set_title(title, loc="left", weight="bold")
            if draw(axes, records):
                _legend(axes, records)
                _save(figure, folder / f"{name}.png")
                drawn.append((f"{name}.png", title))
    return drawn


def draw_curves(path: Path, record: Record) -> None:
    """Write a PNG of a run's loss and error rates over its epochs."""
    with new_figure(9.2, _HEIGHT, _STYLE) as figure:
        for axes, name in zip(figure.subplots(1, 2), ("loss", "error_rates"), strict=True):
            title, draw = _CHARTS[name]
            axes.set_title(title, loc="left", weight="bold")
            draw(axes, [record])
            _legend(axes, [record])
        _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with atomic_write(path) as partial:
        figure.savefig(partial, format="png", dpi=180)


def _legend(axes: Axes, records: Records) -> None:
    """Add a legend of the lines if there are at most four runs; the page's first table shows all colours."""
    handles, labels = axes.get_legend_handles_labels()
    if labels and len(records) <= 4 and not axes.get_legend():
        axes.legend(handles, labels)


def _label(record: Record, records: Records) -> str | None:
    """Return the run's name for the legend; None if the chart has one run, so that its lines get other names."""
    return record.name[-_LONGEST_NAME:] if len(records) > 1 else None


def _colour(number: int) -> str:
    return COLOURS[number % len(COLOURS)]


def _each(records: Records) -> Iterator[tuple[int, Record, str, str | None]]:
    """Yield number, record, colour and label of each run."""
    for number, record in enumerate(records):
        yield number, record, _colour(number), _label(record, records)


def _epoch_position(record: Record) -> pd.Series:
    """Return the position in epochs of each row of steps; 1.5 is the middle of the second epoch."""
    samples = record.train_samples or record.steps["utterances"].max()
    position: pd.Series = record.steps["epoch"] - 1 + record.steps["utterances"] / samples
    return position


def _between_steps(record: Record, column: str) -> pd.Series:
    """Return the increase of the sum in `column` since the row before; the sum starts at 0 in each epoch."""
    return record.steps.groupby("epoch")[column].diff().fillna(record.steps[column])


def _loss(axes: Axes, records: Records) -> bool:
    for _, record, colour, label in _each(records):
        if not record.steps.empty:
            loss = _between_steps(record, "loss") / _between_steps(record, "utterances")
            few = "mean of ten steps" if len(records) == 1 else None
            axes.plot(_epoch_position(record), loss, color=colour, alpha=0.35, linewidth=1, label=few)
        if "loss" in record.epochs:
            epochs, losses = record.epochs["epoch"], record.epochs["loss"]
            axes.plot(epochs - 0.5, losses, "o-", color=colour, markersize=3, label=label or "mean of the epoch")
    axes.set(xlabel="epoch", ylabel="CTC loss per utterance (nats)", yscale="log")
    # A log axis labels its ticks with formulas, which figures do not parse; a short axis labels its minor ticks too.
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    return any("loss" in record.epochs for record in records)


def _error_rates(axes: Axes, records: Records) -> bool:
    shown = [record for record in records if not record.epochs.empty]
    for number, record, colour, label in _each(records):
        if record.epochs.empty:
            continue
        epochs = record.epochs["epoch"]
        axes.plot(epochs, record.epochs["wer"], "o-", color=colour, markersize=4, label=label or "WER")
        only = "CER" if len(records) == 1 else "CER (dotted)" if number == 0 else None
        axes.plot(epochs, record.epochs["cer"], "s:", color=colour, markersize=3, linewidth=1, label=only)
    for target in {record.target_wer for record in shown}:
        axes.axhline(target, color="#b00020", linestyle="--", linewidth=1, label=f"target {target:g}")
    axes.set(xlabel="epoch", ylabel="percent")
    axes.set_ylim(bottom=0)
    _whole_numbers(axes)
    return bool(shown)


def _learning_rate(axes: Axes, records: Records) -> bool:
    for _, record, colour, label in _each(records):
        if not record.steps.empty:
            axes.plot(_epoch_position(record), record.steps["learning_rate"], color=colour, label=label)
    axes.set(xlabel="epoch", ylabel="learning rate")
    axes.set_ylim(bottom=0)
    return any(not record.steps.empty for record in records)


def _throughput(axes: Axes, records: Records) -> bool:
    for _, record, colour, label in _each(records):
        if not record.steps.empty:
            rate = _between_steps(record, "audio") / _between_steps(record, "seconds")
            trained = _between_steps(record, "seconds").cumsum() / 60
            axes.plot(trained, rate, color=colour, linewidth=1, label=label)
    axes.set(xlabel="minutes of training", ylabel="audio seconds per second")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    return any(not record.steps.empty for record in records)


def _time(axes: Axes, records: Records) -> bool:
    spent = [phases(record) for record in records]
    axes.grid(axis="y", visible=False)
    if len(records) == 1:
        bars = axes.barh(PHASES, [spent[0][phase] for phase in PHASES], color=_PHASE_COLOURS)
        axes.bar_label(bars, fmt=" %.1f", fontsize=7)
        axes.set(xlabel="seconds")
        axes.margins(x=0.12)
        axes.invert_yaxis()
        return True
    left = np.zeros(len(records))
    for phase, colour in zip(PHASES, _PHASE_COLOURS, strict=True):
        seconds = np.array([each[phase] for each in spent])
        axes.barh(range(len(records)), seconds, left=left, color=colour, height=0.6)
        if seconds.sum() > 0.01 * sum(sum(each.values()) for each in spent):  # thinner bars cannot be seen
            axes.barh([0], [0], color=colour, label=phase)
        left += seconds
    names = [record.name[-_LONGEST_NAME:] for record in records]
    axes.set(xlabel="seconds", yticks=range(len(records)), yticklabels=names)
    axes.tick_params(axis="y", labelsize=7 if len(records) <= 4 else 5)
    axes.invert_yaxis()
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return True


_PHASE_COLOURS = ("#999999", "#f0e442", "#0072b2", "#d55e00", "#009e73", "#cc79a7")


def _bars(axes: Axes, records: Records, group: Callable[[pd.DataFrame], Any], xlabel: str) -> bool:
    """Draw the WER of each group of utterances, with a bar for each run; return whether there was a group."""
    rates = {number: _rates(record, group) for number, record in enumerate(records) if not record.utterances.empty}
    names = list(dict.fromkeys(name for each in rates.values() for name in each.index))[:_MOST_NAMES]
    width = 0.8 / max(len(rates), 1)
    for place, (number, each) in enumerate(rates.items()):
        heights = [each.get(name, np.nan) for name in names]
        positions = np.arange(len(names)) - 0.4 + (place + 0.5) * width
        bars = axes.bar(positions, heights, width * 0.92, color=_colour(number))
        if len(rates) <= 2:
            axes.bar_label(bars, fmt="%.1f", fontsize=7)
    shown = [str(name)[:_LONGEST_NAME] for name in names]
    axes.set(xlabel=xlabel, ylabel="WER (percent)", xticks=range(len(names)), xticklabels=shown)
    axes.grid(axis="x", visible=False)
    margin = 0.5 if len(names) > 1 else 1.5
    axes.set_xlim(-margin, len(names) - 1 + margin)
    return bool(names)


def _rates(record: Record, group: Callable[[pd.DataFrame], Any]) -> pd.Series:
    """Return the WER in percent of each group: all errors of its utterances divided by all words."""
    counts = record.utterances.groupby(group(record.utterances), observed=True)[["word_errors", "words"]].sum()
    rates: pd.Series = 100 * counts["word_errors"] / counts["words"]
    return rates


def _by_split(axes: Axes, records: Records) -> bool:
    return _bars(axes, records, lambda table: table["subset"], "subset of val")


def _by_length(axes: Axes, records: Records) -> bool:
    """Draw the WER for six ranges of length, each of which has about as many utterances."""
    seconds = [record.utterances["seconds"] for record in records if not record.utterances.empty]
    if not seconds:
        return False
    quantiles = np.quantile(pd.concat(seconds), np.linspace(0, 1, _LENGTH_BINS + 1)).round(1).tolist()
    low, *inner, high = sorted(set(quantiles)) if len(set(quantiles)) > 1 else [quantiles[0], quantiles[0] + 0.1]
    edges = [0.0, *inner, high + 0.1]
    names = [f"{one:.1f}-{other:.1f}" for one, other in pairwise([low, *inner, high])]
    shown = _bars(axes, records, lambda table: pd.cut(table["seconds"], edges, labels=names), "seconds of audio")
    axes.tick_params(axis="x", labelsize=7)
    return shown


def _by_speaker(axes: Axes, records: Records) -> bool:
    rates = {
        number: _rates(record, lambda table: table["speaker"].astype(str))
        for number, record in enumerate(records)
        if not record.utterances.empty
    }
    if not rates:
        return False
    order = next(iter(rates.values())).sort_values().index
    for number, each in rates.items():
        axes.plot(each.reindex(order), ".", color=_colour(number))
    axes.set(xlabel="speakers, lowest WER first", ylabel="WER (percent)")
    axes.set_xticks(range(len(order)), [name[:_LONGEST_NAME] if len(order) <= _MOST_NAMES else "" for name in order])
    axes.set_ylim(bottom=0)
    axes.grid(axis="x", visible=False)
    return True


def _whole_numbers(axes: Axes) -> None:
    """Put the ticks of the horizontal axis on whole numbers."""
    from matplotlib.ticker import MaxNLocator

    low, high = axes.get_xlim()
    if high - low < 1:  # one epoch would have fractions of an epoch as ticks
        axes.set_xlim(low - 0.5, high + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


_CHARTS: dict[str, tuple[str, Callable[[Axes, Records], bool]]] = {
    "error_rates": ("Error rates on val", _error_rates),
    "loss": ("Training loss", _loss),
    "learning_rate": ("Learning rate", _learning_rate),
    "throughput": ("Throughput", _throughput),
    "time": ("Where the time went", _time),
    "wer_by_split": ("WER by split", _by_split),
    "wer_by_length": ("WER by length", _by_length),
    "wer_by_speaker": ("WER by speaker", _by_speaker),
}
"""Title and drawing function of each chart, by the name of its file; the function returns whether there was data."""
