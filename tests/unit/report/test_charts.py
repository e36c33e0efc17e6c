"""Tests of the report's charts."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from speech_recognition.report.charts import draw_charts, draw_curves
from speech_recognition.report.record import read_record

EVERY = [
    "error_rates",
    "loss",
    "learning_rate",
    "throughput",
    "time",
    "wer_by_split",
    "wer_by_length",
    "wer_by_speaker",
]


def size(path: Path) -> tuple[int, int]:
    """Return the width and the height of a PNG in pixels."""
    content = path.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


@pytest.mark.parametrize("count", [1, 3, 9])
def test_every_chart_is_drawn_for_any_number_of_runs(
    run_folder: Callable[..., Path], tmp_path: Path, count: int
) -> None:
    records = [read_record(run_folder(f"run_{number}", seed=number)) for number in range(count)]
    drawn = draw_charts(tmp_path / "charts", records)
    assert [name for name, _ in drawn] == [f"{name}.png" for name in EVERY]
    assert {size(tmp_path / "charts" / name) for name, _ in drawn} == {(828, 540)}


def test_a_run_without_tables_has_only_the_time(run_folder: Callable[..., Path], tmp_path: Path) -> None:
    nothing = pd.DataFrame()
    record = replace(read_record(run_folder()), epochs=nothing, steps=nothing, utterances=nothing)
    assert [name for name, _ in draw_charts(tmp_path, [record])] == ["time.png"]
    assert [path.name for path in tmp_path.glob("*.png")] == ["time.png"]


def test_one_speaker_and_one_length_are_drawn_too(run_folder: Callable[..., Path], tmp_path: Path) -> None:
    record = read_record(run_folder())
    same = record.utterances.assign(speaker="1", seconds=2.0)
    drawn = draw_charts(tmp_path, [replace(record, utterances=same)])
    assert {"wer_by_length.png", "wer_by_speaker.png"} <= {name for name, _ in drawn}


def test_the_curves_of_a_run_are_one_picture(run_folder: Callable[..., Path], tmp_path: Path) -> None:
    draw_curves(tmp_path / "curves.png", read_record(run_folder()))
    assert size(tmp_path / "curves.png") == (1656, 540)


def test_no_label_is_a_formula(
    run_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Formulas are not parsed, so that a run's name may hold a dollar sign: the ticks must not be some."""
    texts: list[str] = []

    def keep(figure: Figure, path: Path, **_: object) -> None:
        figure.draw_without_rendering()
        texts.extend(text.get_text() for text in figure.findobj(Text))
        path.touch()

    monkeypatch.setattr(Figure, "savefig", keep)
    draw_charts(tmp_path / "charts", [read_record(run_folder())])
    assert "CTC loss per utterance (nats)" in texts and not [text for text in texts if "$" in text]
