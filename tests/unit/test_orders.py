"""Tests of the order of utterances and batches in an epoch."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import params
from speech_recognition.orders import epoch_batches, make_batches, spread

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


@given(LENGTHS, SIZES, st.sampled_from(["batch_shuffle", "sorta_grad", "buckets"]), st.sampled_from([0.0, 12.5]))
def test_lengths_that_stretch_by_the_same_factor_leave_the_batches(
    samples: list[int], size: int, order: str, seconds: float
) -> None:
    data, doubled = dataclasses.replace(DATA, order=order), [2 * each for each in samples]
    plain = epoch_batches(dataclasses.replace(data, batch_seconds=seconds), size, samples, seed=1, epoch=1)
    twice = dataclasses.replace(data, batch_seconds=2 * seconds)
    assert epoch_batches(twice, size, samples, seed=1, epoch=1, stretched=doubled) == plain


@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=80), SIZES, st.sampled_from(ORDERS))
def test_the_bound_on_seconds_counts_stretched_samples(stretched: list[int], size: int, order: str) -> None:
    data = dataclasses.replace(DATA, order=order, batch_seconds=3.0, bucket_batches=3)
    batches = epoch_batches(data, size, range(len(stretched)), seed=1, epoch=1, stretched=stretched)
    assert sorted(itertools.chain(*batches)) == list(range(len(stretched)))
    assert all(len(batch) == 1 or len(batch) * max(stretched[each] for each in batch) <= 48_000 for batch in batches)


@pytest.mark.parametrize("order", ["batch_shuffle", "sorta_grad", "buckets"])
def test_batches_of_stretched_lengths_have_little_padding(order: str) -> None:
    samples = np.linspace(16_000, 320_000, 20_000).astype(int)
    stretched = (samples / np.random.default_rng(1).uniform(0.85, 1.15, len(samples))).astype(int)
    data = dataclasses.replace(DATA, order=order)

    def padding(batches: list[list[int]]) -> float:
        whole = sum(len(batch) * int(stretched[batch].max()) for batch in batches)
        return 1 - int(stretched.sum()) / whole

    assert padding(epoch_batches(data, 32, samples, seed=1, epoch=1)) > 0.1
    assert padding(epoch_batches(data, 32, samples, seed=1, epoch=1, stretched=stretched)) < 0.03


def test_the_ascending_order_of_2018_is_the_manifests() -> None:
    batches = epoch_batches(dataclasses.replace(DATA, order="ascending"), 4, range(1, 41), 1, 1, range(40, 0, -1))
    assert list(itertools.chain(*batches)) == list(range(40))


@given(st.lists(st.integers(1, 60_000), min_size=1, max_size=80), SIZES, st.sampled_from(ORDERS), st.integers(1, 5))
def test_batches_hold_plain_integers(samples: list[int], size: int, order: str, epoch: int) -> None:
    batches = epoch_batches(dataclasses.replace(DATA, order=order), size, samples, seed=1, epoch=epoch)
    assert {type(index) for batch in batches for index in batch} == {int}


@pytest.mark.parametrize(
    ("count", "places"),
    [(0, []), (1, [5]), (2, [2, 7]), (5, [1, 3, 5, 7, 9]), (10, list(range(10))), (20, [*range(10)] * 2)],
)
def test_items_come_from_evenly_spaced_places_and_few_are_repeated(count: int, places: list[int]) -> None:
    assert spread(range(10), count) == sorted(places)
