import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition import alphabet, batches
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.errors import InputError

COUNTS = st.integers(1, 60)
SIZES = st.integers(1, 9)


@given(COUNTS, SIZES)
def test_ascending_takes_every_utterance_once_shortest_first(count: int, size: int) -> None:
    assert list(itertools.chain(*batches.ascending(count, size))) == list(range(count))


@given(COUNTS, SIZES, st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_batch_shuffle_moves_whole_blocks_and_keeps_the_remainder_last(
    count: int, size: int, seed: int, epoch: int
) -> None:
    blocks = batches.ascending(count, size)
    shuffled = batches.batch_shuffle(count, size, seed, epoch)
    assert sorted(shuffled) == blocks
    if count % size:
        assert shuffled[-1] == blocks[-1]


def test_the_order_belongs_to_seed_and_epoch() -> None:
    order = batches.batch_shuffle(400, 4, seed=1, epoch=1)
    assert order == batches.batch_shuffle(400, 4, seed=1, epoch=1)
    assert order != batches.batch_shuffle(400, 4, seed=1, epoch=2)
    assert order != batches.batch_shuffle(400, 4, seed=2, epoch=1)


def test_batches_hold_the_recordings_padded(tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    loaded = list(batches.load(utterances, batches.ascending(len(utterances), 7), workers=0))
    assert [len(batch.lengths) for batch in loaded] == [7, 7, 7, 3]
    for batch in loaded:
        assert batch.waveforms.dtype == torch.int16
        for row, index in enumerate(batch.indices.tolist()):
            utterance = utterances[index]
            assert batch.lengths[row] == utterance.samples
            assert not batch.waveforms[row, utterance.samples :].any()
            text = batch.targets[row, : batch.target_lengths[row]]
            assert alphabet.decode(text.tolist()) == utterance.transcript


def test_worker_processes_give_the_same_batches(tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    order = batches.batch_shuffle(len(utterances), 5, seed=1, epoch=1)
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


def test_the_shortest_path_needs_a_frame_a_symbol_and_a_blank_in_each_double(tone_dataset: Path) -> None:
    import dataclasses

    utterance = dataclasses.replace(read_manifest(tone_dataset / "manifests" / "train.csv")[0], transcript="BOOKKEEPER")
    assert batches.too_short(utterance, output_frames=12)
    assert not batches.too_short(utterance, output_frames=13)
