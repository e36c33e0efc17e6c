"""The random values of augmentation: one table for each epoch, with a row for each utterance of the training set.

The table follows from seed and epoch alone, so an utterance's values stay the same in a different batch, with more
processes, and after a resumption.

Shapes: n utterances, k masks of an utterance.
"""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from speech_recognition.lengths import lengths_at
from speech_recognition.parameters import AugmentationParams

OutputFrames = Callable[[Tensor, Tensor], Tensor]
"""Function from lengths [n] in samples and tempos [n] to numbers of output frames [n]."""


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Random values of a training set in one epoch, or of a batch; each tensor is [n], in float64."""

    tempo: Tensor
    """factor on the tempo; the pitch stays"""
    speed: Tensor
    """factor on the speed of playing; the pitch rises with it"""
    gain_db: Tensor
    """gain, in dB"""
    noise_db: Tensor
    """signal-to-noise ratio, in dB; infinite for utterances without noise"""
    noise_start: Tensor
    """start of the stretch of noise, from 0 to 1 over all noise"""
    masks: Tensor
    """[n, k, 2], uniform in [0, 1): a width and a place for each mask"""

    def rows(self, indices: Tensor) -> "Draws":
        """Return the values of the utterances with these indices."""
        return Draws(**{name: values[indices] for name, values in vars(self).items()})

    def stretched(self, samples: Tensor) -> Tensor:
        """Return the lengths [n] that utterances of `samples` [n] have after speed and tempo, in whole samples."""
        return lengths_at(samples, self.speed * self.tempo)

    def with_paths(self, samples: Tensor, needed: Tensor, output_frames: OutputFrames) -> "Draws":
        """Return the values with tempo and speed 1 for utterances that would become too short for their transcripts.

        samples: [n]; needed: [n], the output frames that CTC needs.
        """
        long_enough = output_frames(lengths_at(samples, self.speed), self.tempo) >= needed
        tempo, speed = (values.where(long_enough, 1.0) for values in (self.tempo, self.speed))
        return dataclasses.replace(self, tempo=tempo, speed=speed)


def epoch_draws(params: AugmentationParams, seed: int, epoch: int, utterances: int) -> Draws:
    """Return the random values of a training set of so many `utterances` in an epoch, which counts from 1."""
    # Every utterance draws all six, used or not, and masks come from a generator of their own: turning noise or masks
    # on leaves the tempos as they were. A row does not depend on the number of rows after it.
    tempo, speed, gain, noisy, level, start = np.ascontiguousarray(_generator(seed, epoch, 1).random((utterances, 6)).T)
    masks = _generator(seed, epoch, 2).random((utterances, params.frequency_masks + params.time_masks, 2))
    noise_db = _between(params.noise_min_db, params.noise_max_db, level)
    drawn = {
        "tempo": _between(params.tempo_min, params.tempo_max, tempo),
        "speed": _between(params.speed_min, params.speed_max, speed),
        "gain_db": _between(params.gain_min_db, params.gain_max_db, gain),
        "noise_db": np.where(noisy < params.noise_probability, noise_db, math.inf),
        "noise_start": start,
        "masks": masks,
    }
    return Draws(**{name: torch.from_numpy(values) for name, values in drawn.items()})


def _generator(seed: int, epoch: int, purpose: int) -> np.random.Generator:
    """Return the generator of an epoch for one purpose, 1 or more."""
    # numpy pads a short seed with zeros, so purpose 0 would be the generator from which orders.py shuffles the epoch.
    return np.random.default_rng([seed, epoch, purpose])


def _between(low: float, high: float, uniform: np.ndarray) -> np.ndarray:
    """Return numbers in [0, 1) scaled to the range from `low` to `high`."""
    return low + (high - low) * uniform
