"""Tests of a user's own recordings: written here by libsndfile in many forms, read back as a dataset."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speech_recognition.cli import main
from speech_recognition.corpus.audio import read_pcm
from speech_recognition.corpus.counts import SplitCounts, read_counts
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.corpus.recordings import prepare_recordings, read_any, split_of_manifest
from speech_recognition.corpus.tar_stream import scan
from speech_recognition.errors import InputError


def tone(rate: int, hertz: float = 440, seconds: float = 0.5) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Return a folder of recordings with a table for train and one for val."""
    folder = tmp_path / "mine"
    folder.mkdir()
    soundfile.write(folder / "one.wav", tone(8000), 8000)
    soundfile.write(folder / "two.flac", np.stack([tone(44_100), tone(44_100)], axis=1), 44_100)
    soundfile.write(folder / "three.ogg", tone(48_000, seconds=0.25), 48_000)
    (folder / "train.csv").write_text("audio,transcript,speaker\none.wav,one  o'clock,ann\ntwo.flac,TWO,bob\n")
    (folder / "dev.csv").write_text("audio,transcript\nthree.ogg,Three\n")
    return folder


def test_recordings_of_any_form_become_a_dataset(mine: Path, tmp_path: Path) -> None:
    counts = prepare_recordings([mine / "train.csv", mine / "dev.csv"], tmp_path / "out")
    assert counts == read_counts(tmp_path / "out")
    assert (counts.dataset, counts.train.utterances, counts.test) == ("custom", 2, SplitCounts(0, 0.0, 0.0))
    one, two = read_manifest(tmp_path / "out" / "manifests" / "train.csv")
    assert (one.id, one.transcript, one.speaker, one.subset, one.samples) == (
        "one",
        "ONE O'CLOCK",
        "ann",
        "train",
        8000,
    )
    assert (two.id, two.transcript, two.samples) == ("two", "TWO", 8000)
    assert one.text is not None and one.text.read_text() == "ONE O'CLOCK\n"
    for each in (one, two):
        samples = read_pcm(each.audio, each.samples)
        expected = 32_768 * tone(16_000)
        assert np.abs(samples - expected)[400:-400].max() < 40


def test_the_number_of_workers_changes_nothing(mine: Path, tmp_path: Path) -> None:
    for workers in (1, 3):
        prepare_recordings([mine / "train.csv"], tmp_path / str(workers), workers)
    assert scan(tmp_path / "1") == scan(tmp_path / "3")


def test_a_table_in_any_form_will_do(mine: Path, tmp_path: Path) -> None:
    (mine / "one.txt").write_text("one\n")
    (mine / "my_test_list.txt").write_text("one.wav,one.txt\n")
    prepare_recordings([mine / "my_test_list.txt"], tmp_path / "out")
    (only,) = read_manifest(tmp_path / "out" / "manifests" / "test.csv")
    assert (only.transcript, only.subset) == ("ONE", "my_test_list")


def test_the_command_writes_other_systems_manifests_too(
    mine: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forms = ["--format", "mlperf", "--format", "tensorflow", "--format", "deepspeech.pytorch"]
    tables = [str(mine / "train.csv"), str(mine / "dev.csv")]
    out = tmp_path / "out"
    for _ in range(2):
        assert main(["prepare", "--manifest", *tables, "--data-dir", str(out), "--overwrite", *forms]) == 0
    assert capsys.readouterr().out.startswith("train: 2 utterances, 0.0 minutes\nval: 1 utterances")
    own = read_manifest(out / "manifests" / "train.csv")
    for suffix in (".mlperf.csv", ".tensorflow.csv", ".deepspeech.pytorch.json"):
        other = read_manifest(out / "manifests" / f"train{suffix}")
        assert [(each.id, each.audio, each.transcript, each.samples) for each in other] == [
            (each.id, each.audio, each.transcript, each.samples) for each in own
        ]
        assert (out / "manifests" / f"val{suffix}").exists()
        assert not (out / "manifests" / f"test{suffix}").exists()


def test_16_bit_samples_of_16_khz_are_not_changed(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).integers(-32_768, 32_768, 5000).astype(np.int16)
    soundfile.write(tmp_path / "a.flac", samples, 16_000, subtype="PCM_16")
    np.testing.assert_array_equal(read_any(tmp_path / "a.flac"), samples)


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = np.full(100, 3000, np.int16), np.full(100, -1000, np.int16)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 16_000)
    assert (read_any(tmp_path / "a.wav") == 1000).all()


@pytest.mark.parametrize("rate", [8000, 11_025, 22_050, 44_100, 44_101, 96_000])
def test_a_tone_of_any_rate_stays_the_tone(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(rate), rate, subtype="DOUBLE")
    samples = read_any(tmp_path / "a.wav")
    assert abs(len(samples) - 8000) <= 1
    assert np.abs(samples[200:7800] - 32_768 * tone(16_000)[200:7800]).max() < 40


def test_what_would_fold_back_is_removed(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(48_000, hertz=9000), 48_000)
    assert np.abs(read_any(tmp_path / "a.wav")[400:-400]).max() < 20


def test_a_recording_over_full_scale_is_scaled_and_not_clipped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 4 * tone(16_000), 16_000, subtype="FLOAT")
    samples = read_any(tmp_path / "a.wav").astype(int)
    assert samples.max() == 32_767
    assert np.count_nonzero(np.abs(samples) == 32_767) < 500
    assert np.abs(samples - 32_767 * 2 * tone(16_000)).max() < 200


@pytest.mark.parametrize(
    ("name", "split"),
    [("train.csv", "train"), ("libri_val_manifest.csv", "val"), ("dev-clean.tsv", "val"), ("TEST.json", "test")],
)
def test_a_manifests_name_tells_its_split(name: str, split: str) -> None:
    assert split_of_manifest(Path("/train/of/thought") / name) == split


@pytest.mark.parametrize("name", ["mine.csv", "training.csv", "train-test.csv"])
def test_a_name_that_tells_no_split_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: its name must contain the word"):
        split_of_manifest(Path(name))


def damaged(folder: Path, name: str, kind: str) -> str:
    """Write a recording that cannot be used; returns its name."""
    path = folder / name
    values = {
        "empty": np.zeros(0),
        "nan": np.full(100, np.nan),
        "huge": np.tile([1.7e308, -1.7e308], 50),
        "long": np.zeros(3601),
    }.get(kind, tone(16_000))
    subtype = {"nan": "FLOAT", "huge": "DOUBLE"}.get(kind)
    soundfile.write(path, values, {"long": 1, "slow": 999}.get(kind, 16_000), subtype=subtype)
    content = path.read_bytes()
    if kind == "cut":
        path.write_bytes(content[: len(content) * 6 // 10])
    elif kind == "text":
        path.write_text("no recording\n")
    return name


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("x.wav", "cut", r"x\.wav: truncated, 9\d+ of 16000 bytes"),
        ("x.aiff", "cut", r"x\.aiff: truncated"),
        ("x.au", "cut", r"x\.au: truncated"),
        ("x.flac", "cut", r"x\.flac: not a recording that libsndfile reads"),
        ("x.mp3", "cut", r"x\.mp3: truncated"),
        ("x.wav", "text", r"x\.wav: not a recording that libsndfile reads"),
        ("x.wav", "empty", r"x\.wav: 0 samples at 16000 Hz"),
        ("x.wav", "long", r"x\.wav: 3601 samples at 1 Hz, must be between one sample and an hour"),
        ("x.wav", "slow", r"x\.wav: 999 Hz, must be at least 1000"),
        ("x.wav", "nan", r"x\.wav: has samples that are infinite, not a number"),
        ("x.wav", "huge", r"x\.wav: has samples that are .* above 1e\+30"),
    ],
)
def test_a_recording_that_cannot_be_used_is_named(
    mine: Path, tmp_path: Path, name: str, kind: str, message: str
) -> None:
    with (mine / "train.csv").open("a") as table:
        table.write(f"{damaged(mine, name, kind)},X,\n")
    with pytest.raises(InputError, match=message) as caught:
        prepare_recordings([mine / "train.csv"], tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists() and not list(tmp_path.glob(".*"))


def test_the_decoder_of_mp3_prints_nothing_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, tone(16_000, seconds=4), 16_000)
    content = path.read_bytes()
    middle = len(content) // 2
    for damaged in (content[:middle], content[:middle] + bytes(2000) + content[middle + 2000 :]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.mp3: "):
            read_any(path)
    assert capfd.readouterr().err == ""


def test_a_stream_that_promises_no_length_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, tone(16_000), 16_000)
    content = bytearray(path.read_bytes())
    content[40:44] = b"\xff" * 4
    path.write_bytes(content)
    assert len(read_any(path)) == 8000


def test_every_transcript_outside_the_alphabet_is_reported(mine: Path, tmp_path: Path) -> None:
    table = mine / "train.csv"
    rows = "".join(f"one.wav,route {index} à,,id{index}\n" for index in range(12))
    table.write_text("audio,transcript,speaker,utterance_id\ntwo.flac,fine,,two\n" + rows)
    with pytest.raises(InputError) as caught:
        prepare_recordings([table], tmp_path / "out")
    message = str(caught.value)
    assert message.startswith(
        f"12 transcripts have characters outside the alphabet (A to Z, apostrophe, space): {table}:3 id0 ('0' 'À'), "
    )
    assert f"{table}:12 id9" in message and "id10" not in message and ", ...; spell them out" in message
    assert "two" not in message


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("one.wav,,\n", "train.csv:2: the transcript of utterance one is empty"),
        ("gone.wav,GO,\n", "train.csv:2: audio file .*gone.wav does not exist"),
        ("one.wav,GO,\none.wav,GO,\n", "train.csv:3: utterance one appears twice"),
        ("", "train.csv: no utterances"),
    ],
)
def test_a_row_that_cannot_be_used_is_named(mine: Path, tmp_path: Path, rows: str, message: str) -> None:
    (mine / "train.csv").write_text("audio,transcript,speaker\n" + rows)
    with pytest.raises(InputError, match=message):
        prepare_recordings([mine / "train.csv"], tmp_path / "out")


@pytest.mark.parametrize("name", ["../out", ".hidden", "n" * 81])
def test_an_id_that_is_no_files_name_is_refused(mine: Path, tmp_path: Path, name: str) -> None:
    (mine / "train.csv").write_text(f"audio,transcript,utterance_id\none.wav,GO,{name}\n")
    with pytest.raises(InputError, match=r"train\.csv:2: utterance_id .* must be the name of a file"):
        prepare_recordings([mine / "train.csv"], tmp_path / "out")


def test_an_utterance_of_two_splits_is_refused(mine: Path, tmp_path: Path) -> None:
    (mine / "test.csv").write_text("audio,transcript\none.wav,ONE\n")
    with pytest.raises(InputError, match=r"test\.csv:2: utterance one appears twice"):
        prepare_recordings([mine / "train.csv", mine / "test.csv"], tmp_path / "out")


def test_recordings_of_the_dataset_that_would_be_replaced_are_refused(mine: Path, tmp_path: Path) -> None:
    prepare_recordings([mine / "train.csv", mine / "dev.csv"], tmp_path / "out")
    before = scan(tmp_path / "out")
    with pytest.raises(InputError, match=r"one\.wav lies in --data-dir, which is replaced"):
        prepare_recordings([tmp_path / "out" / "manifests" / "train.csv"], tmp_path / "out")
    assert scan(tmp_path / "out") == before


def test_a_recording_that_leaves_no_sample_is_refused(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(1), 192_000)
    with pytest.raises(InputError, match=r"short\.wav: too short for one sample at 16000 Hz"):
        read_any(tmp_path / "short.wav")


def test_either_a_source_or_manifests_are_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", "--data-dir", "out"]) == 2
    assert "SOURCE --manifest" in capsys.readouterr().err
    assert main(["prepare", "folder", "--manifest", "train.csv", "--data-dir", "out"]) == 2
    assert "not allowed with" in capsys.readouterr().err
