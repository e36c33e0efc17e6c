from pathlib import Path

import pytest
import torch

from speech_recognition import alphabet, batches, orders
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.errors import InputError


def test_batches_hold_the_recordings_padded(tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    loaded = list(
        batches.load(utterances, orders.make_batches(range(len(utterances)), [0] * len(utterances), 7), workers=0)
    )
    assert [len(batch.lengths) for batch in loaded] == [7, 7, 7, 3]
    for batch in loaded:
        assert batch.waveforms.dtype == torch.int16
        for row, index in enumerate(batch.indices.tolist()):
            utterance = utterances[index]
            assert batch.lengths[row] == utterance.samples
            assert not batch.waveforms[row, utterance.samples :].any()
            text = batch.targets[row, : batch.target_lengths[row]]
            assert alphabet.decode(text.tolist()) == utterance.transcript


def test_an_empty_share_has_no_utterances(tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    for workers in (0, 1):
        some, none = batches.load(utterances, [[3, 1], []], workers)
        assert (some.utterances, none.utterances) == (2, 0)


def test_worker_processes_give_the_same_batches(tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    order = [[3, 1], [7, 2, 5]]
    for here, there in zip(batches.load(utterances, order, 0), batches.load(utterances, order, 2), strict=True):
        assert all(a.equal(b) for a, b in zip(here, there, strict=True))


def test_a_recording_that_vanished_is_named_also_from_a_worker(tone_dataset: Path) -> None:
    import dataclasses

    utterance = read_manifest(tone_dataset / "manifests" / "train.csv")[0]
    gone = dataclasses.replace(utterance, audio=Path("gone.wav"))
    for workers in (0, 1):
        with pytest.raises(InputError, match=r"^gone\.wav: ") as caught:
            list(batches.load([gone], [[0]], workers))
        assert "\n" not in str(caught.value)
