"""Tests of the faults in a source that LibriSpeech's conversion refuses, each in one line, with nothing written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_recognition.corpus.librispeech.prepare import prepare_librispeech
from speech_recognition.errors import InputError

CHAPTER = Path("train-clean-5/19/198")


def replace(path: Path, old: str, new: str) -> None:
    content = path.read_text()
    assert old in content
    path.write_text(content.replace(old, new))


def lines(old: str, new: str) -> Callable[[Path], None]:
    return lambda source: replace(source / CHAPTER / "19-198.trans.txt", old, new)


def drop_transcripts(source: Path) -> None:
    (source / CHAPTER / "19-198.trans.txt").unlink()


def drop_flac(source: Path) -> None:
    (source / CHAPTER / "19-198-0001.flac").unlink()


def truncate_flac(source: Path) -> None:
    flac = source / CHAPTER / "19-198-0000.flac"
    flac.write_bytes(flac.read_bytes()[:3000])


def spoil_flac(source: Path) -> None:
    (source / CHAPTER / "19-198-0000.flac").write_text("not audio at all, but long enough for a header")


def make_stereo(source: Path) -> None:
    soundfile.write(source / CHAPTER / "19-198-0000.flac", np.zeros((900, 2), np.int16), 16_000)


def make_8_khz(source: Path) -> None:
    soundfile.write(source / CHAPTER / "19-198-0000.flac", np.zeros(900, np.int16), 8_000)


def repeat_utterance(source: Path) -> None:
    again = source / "train-other-500" / "19" / "198"
    again.parent.mkdir(parents=True)
    (source / CHAPTER).rename(again)
    (source / CHAPTER).mkdir()
    for path in again.iterdir():
        (source / CHAPTER / path.name).write_bytes(path.read_bytes())


def name_subset(name: str) -> Callable[[Path], None]:
    return lambda source: (source / "train-clean-5").rename(source / name)  # type: ignore[func-returns-value]


def move_flac(source: Path) -> None:
    (source / CHAPTER / "19-198-0000.flac").rename(source / "train-clean-5" / "19-198-0000.flac")


def rename_flac(source: Path) -> None:
    (source / CHAPTER / "19-198-0000.flac").rename(source / CHAPTER / "19-199-0000.flac")


def empty_subset(source: Path) -> None:
    (source / "train-clean-100").mkdir()


def not_text(source: Path) -> None:
    (source / CHAPTER / "19-198.trans.txt").write_bytes(b"19-198-0000 \xff\n")


@pytest.mark.parametrize(
    ("spoil", "messages"),
    [
        (drop_transcripts, ["19-198-0000.flac: ", "19-198-0000 has no line"]),
        (lines("19-198-0001 DON'T LOOK BACK\n", ""), ["19-198-0001.flac: ", "has no line"]),
        (drop_flac, ["19-198.trans.txt:2: ", "19-198-0001 has no FLAC file"]),
        (lines("19-198-0001", "198-0001"), ["19-198.trans.txt:2: ", "<utterance> TRANSCRIPT"]),
        (lines("19-198-0001", "19-199-0001"), ["19-198.trans.txt:2: ", "<utterance> TRANSCRIPT"]),
        (lines("19-198-0001", "\n19-198-0001"), ["19-198.trans.txt:2: ", "<utterance> TRANSCRIPT"]),
        (lines("19-198-0001", "19-198-0000"), ["19-198.trans.txt:2: ", "19-198-0000 appears twice"]),
        (lines(" DON'T LOOK BACK", ""), ["19-198.trans.txt:2: ", "19-198-0001 is empty"]),
        (lines(" DON'T LOOK BACK", "  "), ["19-198.trans.txt:2: ", "19-198-0001 is empty"]),
        (lines("DON'T", "DON\u2019T"), ["19-198.trans.txt:2: ", "'\u2019' in utterance 19-198-0001"]),
        (lines("LOOK BACK", "LOOK\tBACK"), ["19-198.trans.txt:2: ", r"'\t' in utterance 19-198-0001"]),
        (not_text, ["19-198.trans.txt: ", "not UTF-8 text"]),
        (truncate_flac, ["19-198-0000.flac: truncated"]),
        (spoil_flac, ["19-198-0000.flac: not a FLAC"]),
        (make_stereo, ["19-198-0000.flac: 2 channels"]),
        (make_8_khz, ["19-198-0000.flac: 8000 Hz"]),
        (repeat_utterance, ["19-198-0000 appears twice"]),
        (name_subset("clean-5"), ["clean-5: subset folders are named train-*"]),
        (name_subset("train"), ["train: subset folders are named train-*"]),
        (move_flac, ["19-198-0000.flac: does not lie at"]),
        (rename_flac, ["19-199-0000.flac: does not lie at"]),
        (empty_subset, ["train-clean-100: no recordings"]),
    ],
)
def test_a_bad_source_is_refused_in_one_line_and_nothing_is_written(
    source: Path, output: Path, spoil: Callable[[Path], None], messages: list[str]
) -> None:
    spoil(source)
    with pytest.raises(InputError) as caught:
        prepare_librispeech(source, output)
    for message in messages:
        assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not output.exists()
    assert not [path for path in output.parent.iterdir() if path.name.startswith(".")]


def test_a_source_without_subsets_is_refused(tmp_path: Path, output: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        prepare_librispeech(tmp_path / "gone", output)
    (tmp_path / "source").mkdir()
    with pytest.raises(InputError, match="no subset folder"):
        prepare_librispeech(tmp_path / "source", output)
