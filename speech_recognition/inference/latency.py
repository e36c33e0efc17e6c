"""Latency of a recognizer over a test set, as the inference test of 2018 reported it (script/test.sh).

The clock of a batch covers features, the transfer to the device, the model and the decoding, and stops when the
device has finished. Reading the recordings is not on it. The reference of 2018 left out the features, and on GPUs it
did not wait for the device.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from speech_recognition.batches import Batch
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import InputError
from speech_recognition.evaluation import Evaluation
from speech_recognition.orders import make_batches
from speech_recognition.parameters import SAMPLE_RATE
from speech_recognition.reading import load_batches
from speech_recognition.recognizer import AnyRecognizer
from speech_recognition.runs.csv_tables import write_table
from speech_recognition.runtime.devices import wait_for
from speech_recognition.runtime.progress import Progress

WARM_UPS = 5
"""Batches that are computed before the first one on the clock, from the shortest to the longest utterances."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One utterance with its result and the time that its batch took."""

    batch: int
    """Number of its batch, from 0."""
    seconds: float
    """Duration of the audio that was computed."""
    frames: int
    """Frames of its spectrogram."""
    latency: float
    """Latency of its batch, in seconds, divided by `hold_sec`."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """Latencies of a test set and what was recognised."""

    inputs: list[Input]
    """Each utterance's figures, in the order of the evaluation."""
    evaluation: Evaluation
    """Transcripts and edit counts."""
    busy: float
    """Seconds on the clock, of all batches."""

    @property
    def mean(self) -> float:
        """Mean latency of the inputs, in seconds."""
        return float(np.mean([each.latency for each in self.inputs]))

    def percentile(self, share: float) -> float:
        """Return the latency that `share` percent of the inputs do not exceed, in seconds."""
        return float(np.percentile([each.latency for each in self.inputs], share, method="inverted_cdf"))

    @property
    def utterances_per_second(self) -> float:
        """Utterances computed in a second."""
        return len(self.inputs) / self.busy

    @property
    def times_real_time(self) -> float:
        """Seconds of audio computed in a second."""
        return sum(each.seconds for each in self.inputs) / self.busy


def held(utterances: Sequence[Utterance], row: int | None) -> Sequence[Utterance]:
    """Return as many utterances as there are, all of them the one in `row`, counted from 0; or the set as it is.

    Raises InputError if there is no such row.
    """
    if row is None:
        return utterances
    if row >= len(utterances):
        raise InputError(f"hold_idx {row}: the test set has rows 0 to {len(utterances) - 1}")
    return [utterances[row]] * len(utterances)


def measure(
    recognizer: AnyRecognizer,
    utterances: Sequence[Utterance],
    *,
    batch_size: int = 1,
    most_batches: int | None = None,
    hold_seconds: float = 1.0,
    force_seconds: float | None = None,
) -> Measurement:
    """Return the latencies of `utterances` in batches of `batch_size`, in their own order.

    most_batches: number of batches after which to stop; hold_seconds: divisor of the latencies; force_seconds: duration
    to which every clip is brought: it is repeated, then cut. Raises InputError for audio that cannot be read.
    """
    batches = make_batches(range(len(utterances)), [each.samples for each in utterances], batch_size)[:most_batches]
    for number in range(WARM_UPS):
        warm_up = batches[number * (len(batches) - 1) // (WARM_UPS - 1)]
        recognizer.transcribe(_forced(next(load_batches(utterances, [warm_up], workers=0)), force_seconds))
    inputs, texts, busy = list[Input](), list[str](), 0.0
    with Progress("test", total=len(batches), unit="batches") as progress:
        # Read in this process: others would take CPU time from what is measured.
        for number, read in enumerate(load_batches(utterances, batches, workers=0)):
            batch = _forced(read, force_seconds)
            heard, seconds = timed(recognizer, batch)
            texts += heard
            busy += seconds
            for samples, frames in zip(batch.lengths, recognizer.features.frames(batch.lengths), strict=True):
                duration, latency = int(samples) / SAMPLE_RATE, seconds / hold_seconds
                inputs.append(Input(batch=number, seconds=duration, frames=int(frames), latency=latency))
            progress.advance(1)
    return Measurement(inputs=inputs, evaluation=Evaluation.of(utterances[: len(texts)], texts), busy=busy)


def timed(recognizer: AnyRecognizer, batch: Batch) -> tuple[list[str], float]:
    """Return the texts of a batch in host memory, and the seconds from there to the texts."""
    wait_for(recognizer.device)
    begin = time.perf_counter()
    texts = recognizer.transcribe(batch)
    wait_for(recognizer.device)
    return texts, time.perf_counter() - begin


def _forced(batch: Batch, seconds: float | None) -> Batch:
    """Return the batch with every clip repeated, then cut to `seconds`; as it is without `seconds`."""
    if seconds is None:
        return batch
    samples = round(seconds * SAMPLE_RATE)
    clips = [waveform[:length] for waveform, length in zip(batch.waveforms, batch.lengths.tolist(), strict=True)]
    forced = [clip.repeat(math.ceil(samples / len(clip)))[:samples] for clip in clips]
    return batch._replace(waveforms=torch.stack(forced), lengths=torch.full_like(batch.lengths, samples))


def write_inputs(path: Path, measurement: Measurement) -> None:
    """Write a row for each input: duration, frames, latency, words, errors, texts."""
    evaluation = measurement.evaluation
    rows = zip(measurement.inputs, evaluation.utterances, evaluation.hypotheses, evaluation.scores, strict=True)
    write_table(
        path,
        [
            {
                "utterance_id": utterance.id,
                "batch": each.batch,
                "duration": each.seconds,
                "frames": each.frames,
                "latency": each.latency,
                "words": counts.words,
                "word_errors": counts.word_errors,
                "characters": counts.characters,
                "character_errors": counts.character_errors,
                "reference": utterance.transcript,
                "text": text,
            }
            for each, utterance, text, counts in rows
        ],
    )
