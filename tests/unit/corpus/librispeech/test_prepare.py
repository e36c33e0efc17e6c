"""Tests of LibriSpeech's conversion to a dataset, and of the folders that it replaces or leaves alone."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from speech_recognition.commands import ROOT
from speech_recognition.corpus.counts import SplitCounts, read_counts
from speech_recognition.corpus.librispeech.prepare import prepare_librispeech
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.corpus.tar_stream import scan
from speech_recognition.errors import DiskFullError, InputError
from speech_recognition.files import check_writable

SAMPLES = ROOT.parent / "shared" / "speech_samples" / "LibriSpeech"
CHAPTER = Path("train-clean-5/19/198")


def hidden_remains(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


def test_the_source_becomes_splits_of_wav_and_txt(source: Path, output: Path) -> None:
    counts = prepare_librispeech(source, output)
    assert counts == read_counts(output)
    assert counts.dataset == "custom"
    assert counts.train == SplitCounts(2, (4000 + 3300) / 16_000, 0.25)
    files = sorted(path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file())
    assert files == sorted(
        ["manifests/counts.json", *(f"manifests/{split}.csv" for split in ("train", "val", "test"))]
        + [
            f"{split}/{kind}/{chapter}-{number:04d}.{kind}"
            for split, chapter in (("train", "19-198"), ("val", "84-121123"), ("test", "367-130732"))
            for kind in ("wav", "txt")
            for number in (0, 1)
        ]
    )


def test_a_manifest_row_describes_its_recording(source: Path, output: Path) -> None:
    prepare_librispeech(source, output)
    shorter, longer = read_manifest(output / "manifests" / "train.csv")
    assert (shorter.id, longer.id) == ("19-198-0001", "19-198-0000")
    assert longer.transcript == "NORTHANGER ABBEY"
    assert longer.text.read_bytes() == b"NORTHANGER ABBEY\n"
    assert (longer.samples, longer.seconds, longer.bytes) == (4000, 0.25, longer.audio.stat().st_size)
    assert (longer.speaker, longer.subset) == ("19", "train-clean-5")
    decoded = soundfile.read(source / CHAPTER / "19-198-0000.flac", dtype="int16")[0]
    assert longer.audio.read_bytes()[44:] == decoded.astype("<i2").tobytes()


def test_the_result_depends_on_the_source_alone(source: Path, tmp_path: Path) -> None:
    prepare_librispeech(source, tmp_path / "one", workers=1)
    before = os.umask(0o077)
    try:
        prepare_librispeech(source, tmp_path / "two", workers=3)
    finally:
        os.umask(before)
    assert scan(tmp_path / "one") == scan(tmp_path / "two")


def test_a_missing_split_has_no_manifest_and_counts_nothing(
    tmp_path: Path, output: Path, make_chapter: Callable[..., list[Path]]
) -> None:
    make_chapter(tmp_path / "source", "train-clean-100")
    counts = prepare_librispeech(tmp_path / "source", output)
    assert counts.val == counts.test == SplitCounts(0, 0.0, 0.0)
    assert [path.name for path in output.glob("manifests/*.csv")] == ["train.csv"]


def test_several_subsets_of_a_split_are_joined(
    source: Path, output: Path, make_chapter: Callable[..., list[Path]]
) -> None:
    make_chapter(source, "dev-other", "116", "288045", ("AS I APPROACHED",))
    prepare_librispeech(source, output)
    rows = read_manifest(output / "manifests" / "val.csv")
    assert {row.subset for row in rows} == {"dev-clean", "dev-other"}
    assert len(rows) == 3


def test_spaces_around_and_between_words_become_one(source: Path, output: Path) -> None:
    transcripts = source / CHAPTER / "19-198.trans.txt"
    transcripts.write_text(transcripts.read_text().replace("NORTHANGER ABBEY", " NORTHANGER   ABBEY "))
    prepare_librispeech(source, output)
    assert read_manifest(output / "manifests" / "train.csv")[1].transcript == "NORTHANGER ABBEY"


def test_the_note_tells_utterances_and_their_rate(
    source: Path, output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_librispeech(source, output)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(r"dataset: 6 utterances, \d+ per second", captured.err)


def test_the_same_option_is_made_again(source: Path, output: Path) -> None:
    prepare_librispeech(source, output)
    drop = read_manifest(output / "manifests" / "train.csv")[0].audio
    drop.unlink()
    prepare_librispeech(source, output)
    assert drop.exists()


def test_another_option_at_the_output_is_refused_with_a_folder_to_use(source: Path, output: Path) -> None:
    prepare_librispeech(source, output, "clean")
    before = scan(output)
    with pytest.raises(InputError, match=rf"'clean', not 'custom'; use {output}_custom"):
        prepare_librispeech(source, output)
    assert scan(output) == before


def test_files_of_the_user_at_the_output_are_never_removed(source: Path, output: Path) -> None:
    output.touch()
    with pytest.raises(InputError, match="not a folder"):
        prepare_librispeech(source, output)
    output.unlink()
    output.mkdir()
    (output / "thesis.txt").touch()
    with pytest.raises(InputError, match="holds files but no dataset"):
        prepare_librispeech(source, output)
    (output / "thesis.txt").unlink()
    prepare_librispeech(source, output)
    (output / "manifests" / "fifty.csv").touch()
    with pytest.raises(InputError, match=r"fifty\.csv is not part of the dataset"):
        prepare_librispeech(source, output)
    assert (output / "manifests" / "fifty.csv").exists()


def test_too_little_disk_is_found_before_anything_is_written(
    source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def demand(folder: Path, needed_bytes: int, parameter: str) -> None:
        assert needed_bytes > 6 * 2 * 3300  # six recordings of 3300 or 4000 samples
        check_writable(folder, needed_bytes + 10**18, parameter)

    monkeypatch.setattr("speech_recognition.corpus.dataset.check_writable", demand)
    with pytest.raises(DiskFullError, match=r"--data-dir .* of free disk"):
        prepare_librispeech(source, output)
    assert not output.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from speech_recognition.corpus.librispeech import prepare

decode, count = prepare.decode_flac, 0
def decode_four(content, where):
    global count
    count += 1
    if count == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return decode(content, where)
prepare.decode_flac = decode_four
prepare.prepare_librispeech(Path(sys.argv[1]), Path(sys.argv[2]), workers=1)
"""


def test_a_kill_leaves_no_dataset_and_the_next_run_succeeds(source: Path, output: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, source, output], cwd=ROOT, check=False)
    assert killed.returncode == -9
    assert not output.exists()
    assert hidden_remains(output.parent)
    assert prepare_librispeech(source, output).train.utterances == 2
    assert not hidden_remains(output.parent)


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no LibriSpeech samples at ../shared/speech_samples")
def test_genuine_librispeech_is_prepared(tmp_path: Path, output: Path) -> None:
    source = tmp_path / "LibriSpeech"
    source.mkdir()
    for subset in ("dev-clean", "test-clean"):
        (source / subset).symlink_to(SAMPLES / subset)
    counts = prepare_librispeech(source, output)
    assert (counts.val.utterances, counts.test.utterances) == (4, 1)
    assert round(counts.val.seconds, 1) == 31.6
    assert all(row.bytes == row.audio.stat().st_size for row in read_manifest(output / "manifests" / "val.csv"))
