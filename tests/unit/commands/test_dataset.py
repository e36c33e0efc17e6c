"""The commands that make a dataset."""

from pathlib import Path

import pytest
import soundfile

from speech_recognition.cli import _parser, main
from speech_recognition.commands import ROOT
from speech_recognition.commands.dataset import _data_dir
from speech_recognition.corpus.counts import read_counts


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "a.wav", [0.1] * 16_000, 16_000)
    (tmp_path / "train.csv").write_text("audio,transcript\na.wav,YES\n")
    return tmp_path / "train.csv"


def test_a_dataset_is_replaced_only_if_that_is_asked_for(
    manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["prepare", "--manifest", str(manifest), "--data-dir", str(tmp_path / "data")]
    assert main(arguments) == 0
    manifest.write_text("audio,transcript\na.wav,NO\n")
    capsys.readouterr()
    assert main(arguments) == 2
    assert "holds a dataset of 1 utterances; add --overwrite to replace it" in capsys.readouterr().err
    assert (tmp_path / "data" / "train" / "txt" / "a.txt").read_text() == "YES\n"
    assert main([*arguments, "--overwrite"]) == 0
    assert (tmp_path / "data" / "train" / "txt" / "a.txt").read_text() == "NO\n"
    assert read_counts(tmp_path / "data").train.utterances == 1


@pytest.mark.parametrize(
    "url", ["ftp://a.org/x", "http://", "http://127.0.0.1:abc", "http://a.org:99999", "http://[::1", "http://a b.org/"]
)
def test_a_mirror_that_is_no_url_is_refused_at_once(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = ["--data-dir", str(tmp_path / "data"), "--archives", str(tmp_path / "archives")]
    assert main(["download", "small", "--mirror", url, *folders]) == 2
    assert f"error: --mirror {url}: " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "folder"),
    [
        ("all", "LibriSpeech_dataset"),
        ("clean_small", "LibriSpeech_dataset"),
        ("small", "small_dataset"),
        ("mini", "mini_dataset"),
    ],
)
@pytest.mark.parametrize("command", ["download", "verify"])
def test_small_and_mini_have_folders_of_their_own(command: str, option: str, folder: str) -> None:
    assert _data_dir(_parser().parse_args([command, option])) == ROOT / folder
