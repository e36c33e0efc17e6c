"""Figures look the same whatever a user's matplotlib settings are."""

from pathlib import Path

import pytest

from speech_recognition.figures import new_figure


def test_a_settings_file_in_the_current_folder_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "matplotlibrc").write_text("axes.facecolor: red\n")
    monkeypatch.chdir(tmp_path)
    with new_figure(2, 1) as figure:
        assert figure.subplots().get_facecolor()[:3] == (1, 1, 1)


def test_a_backend_that_does_not_exist_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    with new_figure(2, 1) as figure:
        figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_dollar_signs_are_text(tmp_path: Path) -> None:
    with new_figure(2, 1) as figure:
        figure.suptitle(r"runs/$\frac$")
        figure.savefig(tmp_path / "figure.png")
