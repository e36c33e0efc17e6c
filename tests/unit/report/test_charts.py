"""Tests of the report's charts."""

import re
import struct
import xml.etree.ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from speech_recognition.report import charts
from speech_recognition.report.charts import draw_charts, draw_curves
from speech_recognition.report.record import Record, read_record

Maker = Callable[..., Path]
EVERY = ["error_rates", "loss", "throughput", "time", "learning_rate", "wer_by_length", "wer_by_speaker"]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return a dictionary into which every chart that is saved puts its figure, by its name."""
    kept: dict[str, Any] = {}

    def keep(figure: Figure, path: Path) -> None:
        figure.draw_without_rendering()
        kept[path.stem] = figure

    monkeypatch.setattr(charts, "save_svg", keep)
    return kept


def texts(path: Path) -> list[str]:
    """Return all texts in an SVG file, which must be well-formed."""
    root = xml.etree.ElementTree.fromstring(path.read_text())
    return ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]


def speakers(record: Record, count: int) -> Record:
    """Return a record with `count` speakers, each of whom has more errors than the one before."""
    names = [f"speaker {number}" for number in range(count)]
    table = pd.DataFrame(
        {"speaker": names, "subset": "dev", "seconds": 1.0, "words": 1000, "word_errors": range(count)}
    )
    return replace(record, utterances=table)


@pytest.mark.parametrize("count", [1, 3, 11])
def test_every_chart_is_drawn_for_any_number_of_runs(run_folder: Maker, tmp_path: Path, count: int) -> None:
    records = [read_record(run_folder(f"run_{number}", seed=number)) for number in range(count)]
    drawn = draw_charts(tmp_path / "charts", records)
    assert [name for name, _ in drawn] == [f"{name}.svg" for name in EVERY]
    assert all(title in texts(tmp_path / "charts" / name) for name, title in drawn)


def test_the_plot_areas_are_equal(run_folder: Maker, tmp_path: Path, figures: dict[str, Any]) -> None:
    draw_charts(tmp_path, [read_record(run_folder())])
    assert len(figures) == len(EVERY)
    assert len({each.axes[0].get_position().bounds for each in figures.values()}) == 1


def test_epochs_are_whole_numbers(run_folder: Maker, tmp_path: Path) -> None:
    draw_charts(tmp_path, [read_record(run_folder(wers=(21.0,)))])
    for name in ("error_rates", "loss", "throughput", "learning_rate"):
        found = texts(tmp_path / f"{name}.svg")
        assert [each for each in found[: found.index("epoch")] if each not in ("0", "1")] == []


def test_a_run_without_tables_has_only_the_time(run_folder: Maker, tmp_path: Path) -> None:
    nothing = pd.DataFrame()
    record = replace(read_record(run_folder()), epochs=nothing, steps=nothing, utterances=nothing)
    assert [name for name, _ in draw_charts(tmp_path, [record])] == ["time.svg"]
    assert [path.name for path in tmp_path.glob("*.svg")] == ["time.svg"]


def test_no_chart_has_one_bar(run_folder: Maker, tmp_path: Path) -> None:
    record = read_record(run_folder())
    same = record.utterances.assign(speaker="1", seconds=2.0)
    drawn = {name for name, _ in draw_charts(tmp_path, [replace(record, utterances=same)])}
    assert not [name for name in drawn if name.startswith("wer_by")]
    two = record.utterances.assign(subset=["dev-clean", "dev-other"] * 2)
    draw_charts(tmp_path, [replace(record, utterances=two)])
    assert {"dev-clean", "dev-other"} <= set(texts(tmp_path / "wer_by_subset.svg"))


def test_speakers_are_bars_and_of_too_many_the_worst_are_shown(
    run_folder: Maker, tmp_path: Path, figures: dict[str, Any]
) -> None:
    draw_charts(tmp_path, [speakers(read_record(run_folder()), 200)])
    axes = figures["wer_by_speaker"].axes[0]
    heights = [bar.get_height() for bar in axes.patches]
    assert len(heights) == 96 and heights == sorted(heights) and heights[-1] == pytest.approx(19.9)
    assert axes.get_xlabel() == "the 96 speakers of 200 with the highest WER"


def test_the_throughput_has_a_line_at_the_mean(run_folder: Maker, tmp_path: Path, figures: dict[str, Any]) -> None:
    draw_charts(tmp_path, [read_record(run_folder())])
    (line,) = [each for each in figures["throughput"].axes[0].lines if each.get_label() == "mean 160"]
    assert list(line.get_ydata()) == pytest.approx([160, 160])


def test_runs_are_told_apart_by_the_numbers_of_the_page(run_folder: Maker, tmp_path: Path) -> None:
    records = [read_record(run_folder(name)) for name in ("a", "b", "c")]
    draw_charts(tmp_path, records)
    assert texts(tmp_path / "error_rates.svg")[-4:] == ["1", "2", "3", "target 23"]
    colours = set(re.findall(r"var\(--run(\d), #", (tmp_path / "error_rates.svg").read_text()))
    assert colours == {"0", "1", "2"}


def test_names_from_a_table_are_text(run_folder: Maker, tmp_path: Path) -> None:
    record = read_record(run_folder())
    odd = ["a\x1b[2J", "<b>&$x$", "\u8a9e" * 40, "plain"]
    draw_charts(tmp_path, [replace(record, utterances=record.utterances.assign(speaker=odd))])
    drawn = set(texts(tmp_path / "wer_by_speaker.svg"))
    assert {"a\\x1b[2J", "<b>&$x$", "\u8a9e" * 8 + "\u2026", "plain"} <= drawn


def test_equal_runs_have_equal_charts_and_no_two_charts_share_an_id(run_folder: Maker, tmp_path: Path) -> None:
    record = read_record(run_folder())
    names = [name for name, _ in draw_charts(tmp_path / "a", [record])]
    draw_charts(tmp_path / "b", [record])
    contents = [(tmp_path / "a" / name).read_text() for name in names]
    assert contents == [(tmp_path / "b" / name).read_text() for name in names]
    ids = [each for content in contents for each in re.findall(r' id="([^"]*)"', content)]
    assert ids and len(ids) == len(set(ids))


def test_the_curves_of_a_run_are_one_picture(run_folder: Maker, tmp_path: Path) -> None:
    draw_curves(tmp_path / "curves.png", read_record(run_folder()))
    content = (tmp_path / "curves.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", content[16:24]) == (1520, 540)


def test_no_label_is_a_formula(run_folder: Maker, tmp_path: Path, figures: dict[str, Any]) -> None:
    """Formulas are not parsed, so that a speaker's name may hold a dollar sign: the ticks must not be some."""
    draw_charts(tmp_path / "charts", [read_record(run_folder())])
    found = [text.get_text() for figure in figures.values() for text in figure.findobj(Text)]
    assert "nats per utterance" in found and not [text for text in found if "$" in text]
