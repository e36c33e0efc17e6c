"""The data of a run, read when its clock runs."""

import dataclasses
import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from speech_recognition import settings
from speech_recognition.corpus.manifest import Utterance, read_manifest, write_manifest
from speech_recognition.errors import InputError
from speech_recognition.parameters import Params
from speech_recognition.recognizer import Recognizer, new_recognizer
from speech_recognition.training.data import RunData, read_data
from speech_recognition.training.job import Job

SMALL = settings.apply(settings.preset("mini"), ["model.conv_channels=2", "model.rnn_units=4"])


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return new_recognizer(SMALL, 1, torch.device("cpu"))


@pytest.fixture
def job(tone_dataset: Path, tmp_path: Path) -> Job:
    return make_job(tone_dataset / "manifests" / "train.csv", tone_dataset)


def make_job(train_manifest: Path, dataset: Path, params: Params = SMALL, **fields: Any) -> Job:
    val_manifest = dataset / "manifests" / "val.csv"
    known = {
        "train_utterances": len(read_manifest(train_manifest)),
        "val_utterances": len(read_manifest(val_manifest)),
        "longest_train_seconds": 2.0,
        "longest_val_seconds": 2.0,
    }
    return Job(
        params=params,
        seed=1,
        device=torch.device("cpu"),
        data_dir=dataset,
        train_manifest=train_manifest,
        val_manifest=val_manifest,
        output_dir=dataset / "run",
        **known | fields,
    )


def read(job: Job, recognizer: Recognizer) -> tuple[RunData, str]:
    output = io.StringIO()
    return read_data(job, recognizer, output), output.getvalue()


def with_transcript(utterances: list[Utterance], index: int, transcript: str) -> list[Utterance]:
    changed = list(utterances)
    changed[index] = dataclasses.replace(changed[index], transcript=transcript)
    return changed


def test_both_sets_are_read_whole_and_the_log_has_nothing_to_say(job: Job, recognizer: Recognizer) -> None:
    data, said = read(job, recognizer)
    assert len(data.train_set.utterances) == 24 and len(data.val_set) == 6
    assert data.train_digest != data.val_digest
    assert said == ""


def test_an_utterance_too_short_for_its_transcript_is_named_and_left_out(
    job: Job, recognizer: Recognizer, tone_dataset: Path, tmp_path: Path
) -> None:
    utterances = with_transcript(read_manifest(job.train_manifest), 3, "A" * 200)
    write_manifest(tmp_path / "train.csv", utterances)
    data, said = read(make_job(tmp_path / "train.csv", tone_dataset), recognizer)
    assert len(data.train_set.utterances) == 23
    assert utterances[3].id not in {each.id for each in data.train_set.utterances}
    assert said == f"left out, too short for their transcripts: 1 utterances: {utterances[3].id}\n"
    assert data.train_digest != read(job, recognizer)[0].train_digest


def test_equal_neighbours_need_a_blank_between_them(
    job: Job, recognizer: Recognizer, tone_dataset: Path, tmp_path: Path
) -> None:
    utterances = read_manifest(job.train_manifest)
    room = int(recognizer.output_lengths(torch.tensor([utterances[0].samples])))
    different = ("AB" * room)[:room]
    left_out = []
    for transcript in (different, "AA" + different[2:]):
        write_manifest(tmp_path / "train.csv", with_transcript(utterances, 0, transcript))
        data, _ = read(make_job(tmp_path / "train.csv", tone_dataset), recognizer)
        left_out.append(24 - len(data.train_set.utterances))
    assert left_out == [0, 1]


def test_utterances_above_the_longest_length_are_named_and_left_out(job: Job, recognizer: Recognizer) -> None:
    utterances = read_manifest(job.train_manifest)
    limit = utterances[11].seconds  # an utterance of exactly this length stays
    chosen = settings.apply(SMALL, [f"data.longest_seconds={limit}"])
    data, said = read(dataclasses.replace(job, params=chosen), recognizer)
    longer = [each.id for each in utterances if each.seconds > limit]
    assert longer and len(data.train_set.utterances) == 24 - len(longer)
    assert said == f"left out, longer than {limit:g} s: {len(longer)} utterances: {' '.join(longer)}\n"


def test_validation_keeps_every_utterance(job: Job, recognizer: Recognizer) -> None:
    shortest = min(each.seconds for each in read_manifest(job.train_manifest))
    chosen = settings.apply(SMALL, [f"data.longest_seconds={shortest}"])
    assert len(read(dataclasses.replace(job, params=chosen), recognizer)[0].val_set) == 6


def test_nothing_left_to_train_on_is_an_error(job: Job, recognizer: Recognizer) -> None:
    chosen = settings.apply(SMALL, ["data.longest_seconds=0.001"])
    with pytest.raises(InputError, match=r"every training utterance .* data\.longest_seconds"):
        read(dataclasses.replace(job, params=chosen), recognizer)


@pytest.mark.parametrize(("count", "name"), [("train_utterances", "train.csv"), ("val_utterances", "val.csv")])
def test_a_manifest_with_other_counts_than_the_log_states_is_refused(
    job: Job, recognizer: Recognizer, count: str, name: str
) -> None:
    with pytest.raises(InputError, match=rf"{name}: \d+ utterances where counts.json says 5; prepare the dataset"):
        read(dataclasses.replace(job, **{count: 5}), recognizer)


@pytest.mark.parametrize(
    ("train", "val", "fault"),
    [
        (True, True, None),
        (False, True, r"train\.csv: not the utterances that the checkpoint was trained on"),
        (True, False, r"val\.csv: not the utterances that the run was evaluated on"),
    ],
)
def test_a_resumed_run_goes_on_with_its_own_data_only(
    job: Job, recognizer: Recognizer, train: bool, val: bool, fault: str | None
) -> None:
    data, _ = read(job, recognizer)
    state: Any = SimpleNamespace(
        train_set=data.train_digest if train else "0" * 32, val_set=data.val_digest if val else "0" * 32
    )
    resumed = dataclasses.replace(job, state=state)
    if fault is None:
        assert read(resumed, recognizer)[0].train_digest == data.train_digest
    else:
        with pytest.raises(InputError, match=fault):
            read(resumed, recognizer)
