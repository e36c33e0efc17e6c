"""The batches of each epoch, which follow from the seed alone.

They hold indices into a manifest that is sorted by length; an epoch has every utterance once.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from params import SAMPLE_RATE, DataParams

Indices = list[int]
"""Indices of utterances in the manifest."""


def epoch_batches(data: DataParams, batch_size: int, samples: Sequence[int], seed: int, epoch: int) -> list[Indices]:
    """Return the batches of one epoch in the order `data.order`, which follows from `seed` and `epoch` alone.

    batch_size: most utterances in a batch; samples: each utterance's length, ascending; epoch: counted from 1.
    """
    # Every epoch has its own generator, so that a resumed run need not draw the earlier epochs again.
    max_samples = round(data.batch_seconds * SAMPLE_RATE)
    if data.order == "buckets":
        return _buckets(samples, batch_size, max_samples, data.bucket_batches, np.random.default_rng([seed, epoch]))
    batches = make_batches(range(len(samples)), samples, batch_size, max_samples)
    # SortaGrad (Amodei et al. 2016): short utterances first while the weights are still random.
    if data.order == "ascending" or (data.order == "sorta_grad" and epoch == 1):
        return batches
    return batch_shuffle(batches, np.random.default_rng([seed, epoch]))


def make_batches(order: Iterable[int], samples: Sequence[int], batch_size: int, max_samples: int = 0) -> list[Indices]:
    """Return consecutive batches of `order` with at most `batch_size` utterances and `max_samples` samples.

    Samples include padding; 0 sets no bound. An utterance longer than the bound becomes a batch of its own.
    """
    batches: list[Indices] = []
    longest = 0
    for index in order:
        # In ascending order this is the newest utterance; in a shuffled bucket, any of the batch can be the longest.
        longest = max(longest, samples[index])
        full = not batches or len(batches[-1]) == batch_size
        if full or (max_samples and (len(batches[-1]) + 1) * longest > max_samples):
            batches.append([])
            longest = samples[index]
        batches[-1].append(index)
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


def _buckets(
    samples: Sequence[int], batch_size: int, max_samples: int, bucket_batches: int, draw: np.random.Generator
) -> list[Indices]:
    """Return batches in a random order, of utterances close in length.

    A bucket is `bucket_batches * batch_size` neighbours of the manifest, shuffled before they are cut into batches, so
    that a batch has different members in each epoch.
    """
    size, batches = batch_size * bucket_batches, list[Indices]()
    for start in range(0, len(samples), size):
        members = start + draw.permutation(min(size, len(samples) - start))
        batches += make_batches(members.tolist(), samples, batch_size, max_samples)
    return [batches[index] for index in draw.permutation(len(batches))]
