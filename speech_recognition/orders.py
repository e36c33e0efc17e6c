"""The batches of each epoch, which follow from the seed alone.

They hold indices into a manifest that is sorted by length; an epoch has every utterance once.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speech_recognition.parameters import SAMPLE_RATE, DataParams

Indices = list[int]
"""Indices of utterances in the manifest."""

Item = TypeVar("Item")
"""Type of what is spread: a batch, or an index."""


def epoch_batches(
    data: DataParams,
    batch_size: int,
    samples: ArrayLike,
    seed: int,
    epoch: int,
    stretched: ArrayLike | None = None,
) -> list[Indices]:
    """Return the batches of one epoch in the order `data.order`, which follows from its arguments alone.

    batch_size: most utterances in a batch; samples: each utterance's length, ascending; epoch: counted from 1;
    stretched: the lengths after this epoch's tempo and speed, if they change.
    """
    # The lengths that batches are padded to: with those of the manifest, a tempo of 0.85 to 1.15 makes 14% padding.
    lengths = np.asarray(samples if stretched is None else stretched)
    # Every epoch has its own generator, so that a resumed run need not draw the earlier epochs again.
    draw, max_samples = np.random.default_rng([seed, epoch]), round(data.batch_seconds * SAMPLE_RATE)
    # MLPerf's reference of 2018 sorted its manifest, and drew tempos later: `ascending` keeps to the manifest's order.
    by_length = np.arange(len(lengths)) if data.order == "ascending" else lengths.argsort(kind="stable")
    if data.order == "buckets":
        return _buckets(by_length, lengths, batch_size, max_samples, data.bucket_batches, draw)
    batches = make_batches(by_length.tolist(), lengths, batch_size, max_samples)
    # SortaGrad (Amodei et al. 2016): short utterances first while the weights are still random.
    if data.order == "ascending" or (data.order == "sorta_grad" and epoch == 1):
        return batches
    return batch_shuffle(batches, draw)


def make_batches(order: Sequence[int], samples: ArrayLike, batch_size: int, max_samples: int = 0) -> list[Indices]:
    """Return consecutive batches of `order` with at most `batch_size` utterances and `max_samples` samples.

    Samples include padding; 0 sets no bound. An utterance longer than the bound becomes a batch of its own.
    """
    if not max_samples:
        return [list(order[begin : begin + batch_size]) for begin in range(0, len(order), batch_size)]
    batches: list[Indices] = []
    lengths, done = np.asarray(samples), 0
    while done < len(order):
        following = list(order[done : done + batch_size])
        # The number of samples in a batch of the first, of the first two, and so on. In ascending order the newest is
        # the longest; in a shuffled bucket, any of the batch can be.
        padded = np.maximum.accumulate(lengths[following]) * np.arange(1, len(following) + 1)
        batches.append(following[: max(1, int((padded <= max_samples).sum()))])
        done += len(batches[-1])
    return batches


def batch_shuffle(batches: Sequence[Indices], draw: np.random.Generator) -> list[Indices]:
    """Return the batches in a random order; a last batch with fewer utterances than the first stays last.

    TensorFlow model garden, deep_speech: the utterances of a batch have nearly the same length and stay together in
    every epoch.
    """
    whole, rest = list(batches), []
    # LibriSpeech's 281,241 utterances in batches of 8 leave a last batch of a single utterance.
    if whole and len(whole[-1]) < len(whole[0]):
        rest = [whole.pop()]
    return [whole[index] for index in draw.permutation(len(whole))] + rest


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """Return `count` items from evenly spaced places; some twice if there are fewer."""
    return [items[(2 * place + 1) * len(items) // (2 * count)] for place in range(count)]


def _buckets(
    by_length: NDArray[np.int64],
    lengths: NDArray[np.int64],
    batch_size: int,
    max_samples: int,
    bucket_batches: int,
    draw: np.random.Generator,
) -> list[Indices]:
    """Return batches in a random order, of utterances close in length.

    A bucket is `bucket_batches * batch_size` neighbours of `by_length`, shuffled before they are cut into batches, so
    that a batch has different members in each epoch.
    """
    size, batches = batch_size * bucket_batches, list[Indices]()
    for start in range(0, len(by_length), size):
        bucket = by_length[start : start + size]
        members = bucket[draw.permutation(len(bucket))]
        batches += make_batches(members.tolist(), lengths, batch_size, max_samples)
    return [batches[index] for index in draw.permutation(len(batches))]
