"""Tests of the recordings that a user names, and of the transcripts beside them."""

import io
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from speech_recognition.errors import InputError
from speech_recognition.inference.inputs import Input, check_outputs, comparable, copied_standard_input, find_inputs


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with recordings in folders of their own."""
    for name in ("talks/b.flac", "talks/a.wav", "talks/more/c.OGG", "talks/.hidden.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(1600), 16_000)
    (tmp_path / "talks" / "notes.txt").write_text("no recording")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*arguments: str) -> list[str]:
    return [each.name for each in find_inputs(arguments)]


def test_files_folders_and_patterns_name_recordings(folder: Path) -> None:
    assert names("talks/b.flac", "talks/a.wav") == ["talks/b.flac", "talks/a.wav"]
    assert names("talks") == ["talks/a.wav", "talks/b.flac", "talks/more/c.OGG"]
    assert names("talks/*.wav") == ["talks/a.wav"]
    assert names("**/*.OGG", str(folder / "talks" / "a.wav")) == ["talks/more/c.OGG", str(folder / "talks" / "a.wav")]


def test_output_files_keep_the_order_of_a_folder(folder: Path) -> None:
    assert [each.stem for each in find_inputs(["talks"])] == [Path("a"), Path("b"), Path("more/c")]
    assert [each.stem for each in find_inputs(["talks/more/c.OGG"])] == [Path("c")]


def test_a_manifest_names_its_rows_in_their_order(folder: Path) -> None:
    (folder / "test.csv").write_text("audio,transcript,utterance_id\ntalks/b.flac,go on,x1\ntalks/a.wav,2 o'clock,x2\n")
    found = find_inputs(["test.csv"])
    assert [(each.name, each.stem, each.reference) for each in found] == [
        ("x1", Path("x1"), "GO ON"),
        ("x2", Path("x2"), None),
    ]


def test_a_missing_file_among_others_is_left_to_fail_alone(folder: Path) -> None:
    assert names("typo.wav", "talks/a.wav") == ["typo.wav", "talks/a.wav"]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("typo.wav", r"typo\.wav: no such file or folder; correct the name"),
        ("*.mp3", r"\*\.mp3: matches no file"),
        ("empty", "empty: no recordings in this folder or below"),
        ("empty.csv", r"empty\.csv: no utterances"),
        ("odd.csv", r"odd\.csv:2: utterance_id 'a/b' must be the name of a file"),
        ("gone.csv", r"gone\.csv:3: audio file .*typo\.wav does not exist"),
    ],
)
def test_an_argument_that_names_nothing_is_refused(folder: Path, argument: str, message: str) -> None:
    (folder / "empty").mkdir()
    (folder / "empty.csv").write_text("audio,transcript\n")
    (folder / "gone.csv").write_text("audio,transcript\ntalks/a.wav,GO\ntypo.wav,GO\n")
    (folder / "odd.csv").write_text("audio,transcript,utterance_id\ntalks/a.wav,GO,a/b\n")
    with pytest.raises(InputError, match=message):
        find_inputs([argument])


def test_a_transcript_is_found_beside_a_recording(folder: Path) -> None:
    talks = folder / "talks"
    (talks / "a.txt").write_text("Don\N{RIGHT SINGLE QUOTATION MARK}t go \N{EM DASH} yet.\n")
    (talks / "1-2.trans.txt").write_text("a OTHER\nb FROM LIBRISPEECH\nempty\n")
    (folder / "val" / "wav").mkdir(parents=True)
    (folder / "val" / "txt").mkdir()
    soundfile.write(folder / "val" / "wav" / "d.wav", np.zeros(1600), 16_000)
    (folder / "val" / "txt" / "d.txt").write_text("PREPARED\n")
    found = {Path(each.name).name: each.reference for each in find_inputs(["talks", "val"])}
    assert found == {"a.wav": "DON'T GO YET", "b.flac": "FROM LIBRISPEECH", "c.OGG": None, "d.wav": "PREPARED"}


def test_a_text_file_that_cannot_be_read_is_no_transcript(folder: Path) -> None:
    (folder / "talks" / "a.txt").write_bytes(b"\xff\xfe\x00")
    (folder / "talks" / "b.txt").mkdir()
    assert [each.reference for each in find_inputs(["talks"])] == [None] * 3


@pytest.mark.parametrize(
    ("text", "words"),
    [("Mr. Smith's well-known end", "MR SMITH'S WELL KNOWN END"), ("2nd", None), ("", None), ("?!", None)],
)
def test_only_words_that_the_model_can_write_are_compared(text: str, words: str | None) -> None:
    assert comparable(text) == words


def made(name: str, stem: str) -> Input:
    return Input(name=name, path=Path(name), stem=Path(stem), reference=None)


def test_two_recordings_with_one_output_file_are_refused() -> None:
    inputs = [made("a/x.wav", "x"), made("a/y.wav", "y"), made("b/x.wav", "x")]
    with pytest.raises(InputError, match=r"b/x\.wav: its output would replace that of a/x\.wav"):
        check_outputs(inputs, Path("out"), ["txt"])


def test_a_transcript_beside_a_recording_is_not_overwritten(folder: Path) -> None:
    (folder / "talks" / "a.txt").write_text("MINE\n")
    with pytest.raises(InputError, match=r"talks/a\.txt: would be overwritten, and may be the transcript of"):
        check_outputs(find_inputs(["talks"]), Path("talks"), ["json", "txt"])
    check_outputs(find_inputs(["talks"]), Path("talks"), ["json"])
    check_outputs(find_inputs(["talks"]), Path("out"), ["txt"])


class Stdin(io.BytesIO):
    """Stands for standard input, which may be a terminal."""

    def __init__(self, content: bytes, terminal: bool) -> None:
        super().__init__(content)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def buffer(self) -> "Stdin":
        return self


def test_standard_input_is_copied_to_a_file_that_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Stdin(b"abc", terminal=False))
    with copied_standard_input() as path:
        (found,) = find_inputs(["-"], path)
        assert found.path.read_bytes() == b"abc" and found.name == "-" and found.stem == Path("standard_input")
    assert not path.exists()


def test_a_terminal_is_no_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with pytest.raises(InputError, match="standard input is a terminal"), copied_standard_input():
        pass
