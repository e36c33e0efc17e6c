"""The chart of a profile's layers."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from speech_recognition.profiling.calls import Call, Place, Profile
from speech_recognition.profiling.chart import draw_layers


def drawn_texts(path: Path, profile: Profile) -> list[str]:
    """Draw a chart and return every text in it."""
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    texts: list[str] = []
    save = Figure.savefig

    def saved(figure: Figure, *arguments: object, **named: object) -> None:
        texts.extend(each.get_text() for each in figure.findobj(Text))
        save(figure, *arguments, **named)  # type: ignore[arg-type]

    with patch.object(Figure, "savefig", saved):
        draw_layers(path, profile)
    return texts


def test_a_bar_for_each_layer_says_its_share_and_utilisation(profile: Profile, tmp_path: Path) -> None:
    texts = drawn_texts(tmp_path / "layers.png", profile)
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")
    assert {"rnn.0", "optimizer", "other", "forward", "backward", "update", "Time by layer\nmini, batch 16"} <= set(
        texts
    )
    assert "  80.0%, SM 70%, tensor cores 45%" in texts


@pytest.mark.parametrize("ms", [0.0, 1e15])
def test_odd_durations_and_names_are_drawn(profile: Profile, tmp_path: Path, ms: float) -> None:
    calls = [Call(kernel="$a$", place=Place(f"$layer$_{number}" * 9, "forward"), ms=ms) for number in range(50)]
    draw_layers(tmp_path / "layers.png", replace(profile, calls=calls, about="$b$ \u4e2d"))
    assert (tmp_path / "layers.png").stat().st_size > 1000
