"""A training set of noise, for a profile on a machine that has no dataset: the step's time depends on lengths alone."""

from pathlib import Path

import numpy as np

from speech_recognition.corpus.audio import WAV_HEADER_BYTES, write_wav
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.parameters import SAMPLE_RATE, Params
from speech_recognition.training.epochs import TrainingSet

SHORTEST, LONGEST = 8, 16
"""Bounds of the lengths in seconds, every half second of which has one recording. LibriSpeech's mean is 12.3 s."""

_SYMBOLS_PER_SECOND = 14  # as in LibriSpeech


def noise_set(folder: Path, params: Params, seed: int, count: int) -> TrainingSet:
    """Return a training set of `count` utterances, whose recordings are written to `folder`."""
    kinds = np.arange(SHORTEST, LONGEST + 0.5, 0.5)
    draw = np.random.default_rng(seed)
    for kind, seconds in enumerate(kinds):
        samples = draw.integers(-1000, 1000, round(seconds * SAMPLE_RATE), dtype=np.int16)
        write_wav(folder / f"{kind}.wav", samples)
    # Sorted by length, as training sets are. Utterances of one length share a recording.
    chosen = np.arange(count) * len(kinds) // count
    return TrainingSet(
        [_utterance(folder, number, int(kind), float(kinds[kind])) for number, kind in enumerate(chosen)], params, seed
    )


def _utterance(folder: Path, number: int, kind: int, seconds: float) -> Utterance:
    samples = round(seconds * SAMPLE_RATE)
    return Utterance(
        id=f"noise-{number}",
        audio=folder / f"{kind}.wav",
        text=None,
        transcript=("NOISE " * _SYMBOLS_PER_SECOND * LONGEST)[: round(seconds * _SYMBOLS_PER_SECOND)].strip(),
        seconds=samples / SAMPLE_RATE,
        samples=samples,
        speaker="noise",
        subset="noise",
        bytes=WAV_HEADER_BYTES + 2 * samples,
    )
