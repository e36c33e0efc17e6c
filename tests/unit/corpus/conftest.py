"""Fixtures with tiny folders in LibriSpeech's layout, their dataset, and a command that must refuse what it gets."""

import argparse
import functools
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_recognition import cli
from speech_recognition.corpus.checksum import Reference, read_reference, write_reference
from speech_recognition.corpus.librispeech.prepare import prepare_librispeech

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
    """Return a function that writes a chapter and returns its FLAC files, of 4000 samples and then 700 fewer each."""
    return _make_chapter


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a folder with one chapter each of train, dev and test, and two utterances in each."""
    folder = tmp_path / "LibriSpeech"
    _make_chapter(folder)
    _make_chapter(folder, "dev-clean", "84", "121123", ("GO ON", "AH"))
    _make_chapter(folder, "test-other", "367", "130732", ("LOBSTERS AND LOBSTERS", "IT'S SO"))
    (folder / "SPEAKERS.TXT").write_text("; not a recording\n")
    return folder


@pytest.fixture
def dataset(source: Path, tmp_path: Path) -> Path:
    """Return the folder of the processed dataset of `source`, under the name mini."""
    prepare_librispeech(source, tmp_path / "dataset", "mini")
    return tmp_path / "dataset"


@pytest.fixture
def reference(dataset: Path, tmp_path: Path) -> Reference:
    """Return the reference of `dataset`, which lies outside it."""
    write_reference(dataset, tmp_path / "reference", "mini")
    return read_reference(tmp_path / "reference", "mini", "pinned")


@pytest.fixture(autouse=True)
def no_proxy_of_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset this machine's proxies, which would get the requests for the servers of these tests."""
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@functools.cache
def _parser() -> argparse.ArgumentParser:
    return cli._parser()


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str], str], None]:
    """Return a function that runs a command, which must end with status 2 and one printable line of error.

    The line must match a pattern, and standard output be empty. The command line's parser is made once, since that
    takes longer than most commands here.
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
