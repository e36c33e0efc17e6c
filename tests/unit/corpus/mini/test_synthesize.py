"""Tests of the embedded corpus's synthesis, on a few of its utterances."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from speech_recognition.commands import ROOT
from speech_recognition.corpus.checksum import read_reference
from speech_recognition.corpus.counts import read_counts
from speech_recognition.corpus.librispeech.prepare import prepare_librispeech
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.corpus.mini import synthesize
from speech_recognition.corpus.mini.plan import (
    QUIETEST_NOISE,
    SHORTEST_SILENCE,
    PlannedUtterance,
    planned_utterances,
)
from speech_recognition.corpus.tar_stream import scan
from speech_recognition.errors import InputError

PLAN = planned_utterances()
SAMPLE = PLAN[::105]
"""One utterance of every second or third speaker."""

SPLIT = {"train-mini": "train", "dev-mini": "val", "test-mini": "test"}

# What glibc and numpy would choose their faster functions by.
WITHOUT_CPU_FEATURES = {
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX,-AVX2,-AVX512F,-FMA,-FMA4,-SSE4_1,-SSE4_2,-SSSE3",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
}


def make(utterances: list[PlannedUtterance], folder: Path, workers: int) -> Path:
    """Synthesise and prepare some utterances; returns the dataset's folder."""
    raw = folder / "raw"
    raw.mkdir()
    synthesize.write_corpus(utterances, raw, workers)
    prepare_librispeech(raw, folder / "dataset", "mini", workers)
    return folder / "dataset"


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that holds the raw sample and its dataset. Tests do not change it."""
    folder = tmp_path_factory.mktemp("sample")
    make(SAMPLE, folder, 2)
    return folder


def test_a_full_disk_is_an_error_of_the_system(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            synthesize.write_corpus(SAMPLE[:1], tmp_path, 1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def recordings(dataset: Path) -> dict[str, str]:
    return {name: digest for name, digest in scan(dataset).sums.items() if not name.startswith("manifests/")}


def test_the_raw_corpus_has_librispeechs_layout(sample: Path) -> None:
    first = SAMPLE[0]
    chapter = sample / "raw" / "train-mini" / str(first.speaker.number) / str(first.chapter)
    assert (chapter / f"{first.utterance_id}.flac").is_file()
    transcripts = chapter / f"{first.speaker.number}-{first.chapter}.trans.txt"
    assert transcripts.read_text() == f"{first.utterance_id} {first.transcript}\n"
    speakers = (sample / "raw" / "SPEAKERS.TXT").read_text().splitlines()
    assert len(speakers) == 1 + len({each.speaker for each in SAMPLE})
    assert f"{first.speaker.number} | train-mini | {first.speaker.voice}" in speakers[1]


def test_the_sample_is_what_the_reference_says(sample: Path) -> None:
    reference = read_reference(ROOT / "reference_checksums", "mini", "").sums
    found = recordings(sample / "dataset")
    assert len(found) == 2 * len(SAMPLE)
    assert found == {name: reference.get(name) for name in found}


def samples_of(utterance: PlannedUtterance, sample: Path) -> NDArray[np.int16]:
    place = sample / "dataset" / SPLIT[utterance.speaker.subset] / "wav" / f"{utterance.utterance_id}.wav"
    content: NDArray[np.int16] = soundfile.read(place, dtype="int16")[0]
    return content


def loudest(samples: NDArray[np.int16]) -> int:
    return int(np.abs(samples.astype(int)).max())


def test_only_the_speakers_noise_is_heard_before_and_after_a_sentence(sample: Path) -> None:
    for each in SAMPLE:
        content = samples_of(each, sample)
        before, after = (each.silences[edge] * 16 for edge in (0, -1))
        assert loudest(content[:before]) == loudest(content[-after:]) == each.speaker.noise
        assert loudest(content[before:-after]) > 1000


def test_a_pause_separates_two_phrases(sample: Path) -> None:
    paused = next(each for each in SAMPLE if len(each.phrases) == 2)
    content = samples_of(paused, sample).astype(int)
    quiet = np.abs(content) <= paused.speaker.noise
    pause = paused.silences[1] * 16
    inside = quiet[paused.silences[0] * 16 : -paused.silences[2] * 16]
    assert np.convolve(inside, np.ones(pause), "valid").max() == pause


def test_no_two_utterances_have_the_same_noise(sample: Path) -> None:
    first, *others = (each for each in SAMPLE if each.speaker.noise > QUIETEST_NOISE)
    starts = [samples_of(each, sample)[: SHORTEST_SILENCE * 16].tobytes() for each in (first, *others)]
    assert len(set(starts)) == len(starts)


def test_the_number_of_workers_changes_nothing(sample: Path, tmp_path: Path) -> None:
    assert scan(make(SAMPLE, tmp_path, 1)) == scan(sample / "dataset")


ELSEWHERE = """
import json, sys
from pathlib import Path
from test_synthesize import SAMPLE, make, recordings
print(json.dumps(recordings(make(SAMPLE, Path(sys.argv[1]), 2))))
"""


def test_a_processor_with_fewer_features_makes_the_same_bytes(sample: Path, tmp_path: Path) -> None:
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    environment = {**os.environ, **WITHOUT_CPU_FEATURES, "PYTHONPATH": paths}
    command = [sys.executable, "-c", ELSEWHERE, tmp_path]
    result = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    assert json.loads(result.stdout) == recordings(sample / "dataset")


def test_the_reference_counts_the_whole_planned_utterances() -> None:
    reference = read_reference(ROOT / "reference_checksums", "mini", "")
    ids = {Path(name).stem for name in reference.sums if name.endswith(".wav")}
    assert ids == {each.utterance_id for each in PLAN}
    splits = (reference.counts.train, reference.counts.val, reference.counts.test)
    assert sum(split.utterances for split in splits) == len(PLAN)


@pytest.fixture
def short_plan(monkeypatch: pytest.MonkeyPatch) -> list[PlannedUtterance]:
    """Cut the corpus down to three utterances, one of each subset."""
    firsts = {each.speaker.subset: each for each in reversed(PLAN)}
    monkeypatch.setattr(synthesize, "planned_utterances", lambda: list(firsts.values()))
    return list(firsts.values())


def test_make_mini_makes_the_dataset_once(
    short_plan: list[PlannedUtterance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "mini_dataset"
    for remains in (".mini_dataset.raw", "..mini_dataset.raw.partial.x", ".mini_dataset.partial.x"):
        (tmp_path / remains / "of a killed run").mkdir(parents=True)
    counts = synthesize.make_mini(folder)
    assert counts == read_counts(folder)
    assert (counts.dataset, counts.train.utterances, counts.val.utterances) == ("mini", 1, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["mini_dataset"]
    monkeypatch.setattr(synthesize, "Synthesizer", None)
    (folder / "manifests" / "mine.csv").touch()
    assert synthesize.make_mini(folder) == counts


def test_make_mini_makes_an_incomplete_dataset_again(short_plan: list[PlannedUtterance], tmp_path: Path) -> None:
    folder = tmp_path / "mini_dataset"
    synthesize.make_mini(folder)
    lost = read_manifest(folder / "manifests" / "val.csv")[0].audio
    lost.unlink()
    synthesize.make_mini(folder)
    assert lost.exists()


def test_make_mini_refuses_a_folder_with_other_things(short_plan: list[PlannedUtterance], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(InputError, match="holds files but no dataset"):
        synthesize.make_mini(tmp_path)
    folder = tmp_path / "other"
    make(short_plan, tmp_path, 1).rename(folder)
    (folder / "manifests" / "counts.json").write_text(
        (folder / "manifests" / "counts.json").read_text().replace("mini", "clean")
    )
    with pytest.raises(InputError, match="holds the dataset 'clean'"):
        synthesize.make_mini(folder)


def test_synthesize_refuses_a_folder_that_holds_anything(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(InputError, match="exists; choose a new folder"):
        synthesize.synthesize(tmp_path)
    with pytest.raises(InputError, match="exists; choose a new folder"):
        synthesize.synthesize(tmp_path / "thesis.txt")


def test_a_failure_in_the_middle_leaves_nothing(
    short_plan: list[PlannedUtterance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(synthesize, "_write_speakers", fail)
    for make_it in (synthesize.synthesize, synthesize.make_mini):
        with pytest.raises(OSError, match="disk full"):
            make_it(tmp_path / "mini")
    assert list(tmp_path.iterdir()) == []
