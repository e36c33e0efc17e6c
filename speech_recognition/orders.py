"""Which utterances make which batch, epoch by epoch, from the seed alone.

Orders are given over a manifest that is sorted by length. An epoch holds every utterance once.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from params import SAMPLE_RATE, DataParams

Indices = list[int]
"""Places in the manifest."""


def epoch_batches(data: DataParams, batch_size: int, samples: Sequence[int], seed: int, epoch: int) -> list[Indices]:
    """The batches of one epoch in the order that `data` names.

    `samples`: each utterance's length, ascending; `batch_size`: utterances in a batch at most;
    `epoch` counts from 1.
    """
    max_samples = round(data.batch_seconds * SAMPLE_RATE)
    if data.order == "buckets":
        return _buckets(samples, batch_size, max_samples, data.bucket_batches, np.random.default_rng([seed, epoch]))
    batches = make_batches(range(len(samples)), samples, batch_size, max_samples)
    if data.order == "ascending" or (data.order == "sorta_grad" and epoch == 1):
        return batches
    return batch_shuffle(batches, np.random.default_rng([seed, epoch]))


def make_batches(order: Iterable[int], samples: Sequence[int], batch_size: int, max_samples: int = 0) -> list[Indices]:
    """Consecutive batches of `order`, of `batch_size` utterances and `max_samples` with padding; 0 sets no bound.

    An utterance that exceeds the bound alone is a batch of its own.
    """
    batches: list[Indices] = []
    longest = 0
    for index in order:
        longest = max(longest, samples[index])
        full = not batches or len(batches[-1]) == batch_size
        if full or (max_samples and (len(batches[-1]) + 1) * longest > max_samples):
            batches.append([])
            longest = samples[index]
        batches[-1].append(index)
    return batches


def batch_shuffle(batches: Sequence[Indices], draw: np.random.Generator) -> list[Indices]:
    """The batches in another order; the last one stays last if it is shorter than the first.

    TensorFlow model garden, deep_speech: members of a batch have nearly one
    length and stay together in every epoch.
    """
    whole, rest = list(batches), []
    if whole and len(whole[-1]) < len(whole[0]):
        rest = [whole.pop()]
    return [whole[index] for index in draw.permutation(len(whole))] + rest


def _buckets(
    samples: Sequence[int], batch_size: int, max_samples: int, bucket_batches: int, draw: np.random.Generator
) -> list[Indices]:
    """Batches whose members change from epoch to epoch, yet are neighbours in length."""
    size, batches = batch_size * bucket_batches, list[Indices]()
    for start in range(0, len(samples), size):
        members = start + draw.permutation(min(size, len(samples) - start))
        batches += make_batches(members.tolist(), samples, batch_size, max_samples)
    return [batches[index] for index in draw.permutation(len(batches))]
