"""Tiny folders in LibriSpeech's layout, and a command that has to refuse them."""

import argparse
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_recognition import cli

MakeChapter = Callable[..., list[Path]]


def _noise(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-9000, 9000, count).astype(np.int16)


def _make_chapter(
    source: Path,
    subset: str = "train-clean-5",
    speaker: str = "19",
    chapter: str = "198",
    transcripts: Sequence[str] = ("NORTHANGER ABBEY", "DON'T LOOK BACK"),
) -> list[Path]:
    folder = source / subset / speaker / chapter
    folder.mkdir(parents=True)
    flacs = [folder / f"{speaker}-{chapter}-{index:04d}.flac" for index in range(len(transcripts))]
    for index, flac in enumerate(flacs):
        soundfile.write(flac, _noise(4000 - 700 * index, index), 16_000, subtype="PCM_16")
    lines = [f"{flac.stem} {transcript}\n" for flac, transcript in zip(flacs, transcripts, strict=True)]
    (folder / f"{speaker}-{chapter}.trans.txt").write_text("".join(lines))
    return flacs


@pytest.fixture
def make_chapter() -> MakeChapter:
    """Writes one chapter below a source folder; returns its FLAC files (4000 samples, then 700 less each)."""
    return _make_chapter


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """One chapter each of train, dev and test: two utterances in each."""
    folder = tmp_path / "LibriSpeech"
    _make_chapter(folder)
    _make_chapter(folder, "dev-clean", "84", "121123", ("GO ON", "AH"))
    _make_chapter(folder, "test-other", "367", "130732", ("LOBSTERS AND LOBSTERS", "IT'S SO"))
    (folder / "SPEAKERS.TXT").write_text("; not a recording\n")
    return folder


@pytest.fixture(autouse=True)
def no_proxy_of_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@functools.cache
def _parser() -> argparse.ArgumentParser:
    return cli._parser()


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str], str], None]:
    """Runs a command that has to end in exit status 2 and one printable line that matches a pattern, and print nothing.

    The command line's parser is made once: it takes longer than most commands here.
    """

    def run(arguments: list[str], message: str) -> None:
        with monkeypatch.context() as patch:
            parser = _parser()
            patch.setattr(cli, "_parser", lambda: parser)
            capsys.readouterr()
            assert cli.main(arguments) == 2
        captured = capsys.readouterr()
        *before, last = captured.err.splitlines()
        assert re.search(message, last), last
        assert last.startswith("error: ") and last.isprintable() and len(last) < 2100
        assert captured.out == "" and not [line for line in before if "error" in line]

    return run
