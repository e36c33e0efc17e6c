"""Tests of the order of utterances and batches in an epoch."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

import params
from speech_recognition.orders import epoch_batches, make_batches

DATA = params.mlperf_2018().data
ORDERS = ["ascending", "batch_shuffle", "sorta_grad", "buckets"]
LENGTHS = st.lists(st.integers(1, 60_000), min_size=1, max_size=80).map(sorted)
SIZES = st.integers(1, 9)


@given(LENGTHS, SIZES, st.sampled_from(ORDERS), st.sampled_from([0.0, 1.0, 12.5]), st.integers(1, 5))
def test_every_order_takes_every_utterance_once_within_the_bounds(
    samples: list[int], size: int, order: str, seconds: float, epoch: int
) -> None:
    data = dataclasses.replace(DATA, order=order, batch_seconds=seconds, bucket_batches=3)
    batches = epoch_batches(data, size, samples, seed=1, epoch=epoch)
    assert sorted(itertools.chain(*batches)) == list(range(len(samples)))
    for batch in batches:
        assert 1 <= len(batch) <= size
        longest = max(samples[index] for index in batch)
        assert not seconds or len(batch) == 1 or len(batch) * longest <= seconds * 16_000


@given(LENGTHS, SIZES, st.sampled_from([0, 40_000, 200_000]))
def test_a_batch_ends_where_the_next_utterance_would_exceed_a_bound(samples: list[int], size: int, most: int) -> None:
    batches = make_batches(range(len(samples)), samples, size, most)
    assert list(itertools.chain(*batches)) == list(range(len(samples)))
    for batch, following in itertools.pairwise(batches):
        assert len(batch) == size or (most and (len(batch) + 1) * samples[following[0]] > most)


@given(st.integers(1, 60), SIZES, st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_batch_shuffle_moves_whole_blocks_and_keeps_the_remainder_last(
    count: int, size: int, seed: int, epoch: int
) -> None:
    blocks = make_batches(range(count), [1] * count, size)
    shuffled = epoch_batches(dataclasses.replace(DATA, order="batch_shuffle"), size, [1] * count, seed, epoch)
    assert sorted(shuffled) == blocks
    if count % size:
        assert shuffled[-1] == blocks[-1]


@pytest.mark.parametrize("order", ["batch_shuffle", "buckets"])
def test_an_order_belongs_to_seed_and_epoch(order: str) -> None:
    data = dataclasses.replace(DATA, order=order)
    first = epoch_batches(data, 4, range(1, 401), seed=1, epoch=1)
    assert first == epoch_batches(data, 4, range(1, 401), seed=1, epoch=1)
    assert first != epoch_batches(data, 4, range(1, 401), seed=1, epoch=2)
    assert first != epoch_batches(data, 4, range(1, 401), seed=2, epoch=1)


def test_sorta_grad_begins_ascending_and_goes_on_shuffled() -> None:
    data, samples = dataclasses.replace(DATA, order="sorta_grad"), range(1, 101)
    ascending = make_batches(range(100), samples, 4)
    assert epoch_batches(data, 4, samples, seed=1, epoch=1) == ascending
    later = [epoch_batches(data, 4, samples, seed=1, epoch=epoch) for epoch in (2, 3)]
    assert later[0] != later[1] and all(sorted(batches) == ascending for batches in later)


def test_buckets_change_a_batchs_members_and_keep_them_neighbours() -> None:
    data = dataclasses.replace(DATA, order="buckets", bucket_batches=5)
    batches = epoch_batches(data, 4, range(1, 201), seed=1, epoch=1)
    assert sorted(map(sorted, batches)) != make_batches(range(200), range(1, 201), 4)
    assert all(max(batch) // 20 == min(batch) // 20 for batch in batches)
