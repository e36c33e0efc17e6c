"""Transcription of many recordings: short ones in batches by length, long ones part by part.

A short recording is one utterance, as in `evaluate`. A long one is carried through a unidirectional model block by
block, or cut at its pauses (inference/segments.py); its memory does not grow with its length.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from speech_recognition.batches import collate
from speech_recognition.corpus.recordings import read_any
from speech_recognition.decoding.beam import BeamSearch, Hypothesis
from speech_recognition.decoding.greedy import Decode, greedy
from speech_recognition.errors import InputError
from speech_recognition.inference.blocks import LongRecording, Samples, cut
from speech_recognition.inference.defaults import LONG_SECONDS, MARGIN_SECONDS
from speech_recognition.inference.inputs import Input
from speech_recognition.inference.segments import (
    OVERLAP_SECONDS,
    Window,
    levels,
    sounds,
    speech,
    stretches,
    windows,
)
from speech_recognition.inference.streaming import can_stream, stream
from speech_recognition.inference.timing import placed
from speech_recognition.inference.transcript import Transcript
from speech_recognition.inference.words import Clock, Word, WordReader, clock_of, likeliest_path, read_words
from speech_recognition.parameters import SAMPLE_RATE
from speech_recognition.recognizer import AnyRecognizer

_BATCH_SECONDS = 120.0
"""Most seconds of audio in a batch, padding included; more would take memory and no less time."""

_BATCH_SIZE = 32
"""Most utterances in a batch."""

_GROUP_SIZE = 64
"""Recordings that are read before they are sorted by length: 82 MB of samples if each lasts LONG_SECONDS."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Failure:
    """A recording that could not be transcribed."""

    name: str
    """Name of the recording, as the user gave it."""
    message: str
    """What is wrong with it and what to do, in one line."""


@dataclass(frozen=True, kw_only=True)
class Transcriber:
    """A recognizer with its decoder, and what it does with long recordings."""

    recognizer: AnyRecognizer
    """Recognizer, in evaluation mode."""
    decode: Decode = greedy
    """Decoder of the log-probabilities."""
    nbest: int = 0
    """Number of texts that are kept of each short recording, which only a BeamSearch finds."""
    long_seconds: float = LONG_SECONDS
    """Length above which a recording is long."""
    long: Literal["carry", "cut"] = "carry"
    """carry: through a unidirectional model that torch computes, with the greedy decoder; else, and always with cut,
    long recordings are cut at their pauses"""
    margin: float = MARGIN_SECONDS
    """Seconds of silence that are kept around speech where a recording is cut."""

    @property
    def _clock(self) -> Clock:
        return clock_of(self.recognizer.params)

    def transcribe(
        self, inputs: Iterable[Input], advance: Callable[[float], None] = lambda _: None
    ) -> Iterator[Transcript | Failure]:
        """Yield the result of each recording in the order of `inputs`; call `advance` with the seconds that are done.

        A recording that cannot be read is a Failure, and the others go on.
        """
        for group in _groups(inputs):
            results: dict[int, Transcript | Failure] = {}
            short: dict[int, Samples] = {}
            for index, each in enumerate(group):
                try:
                    recording = LongRecording(each.path)
                    if recording.seconds > self.long_seconds:
                        is_speech = speech(levels(recording.blocks()))
                        words = self._long(recording, is_speech, advance)
                        results[index] = _transcript(each, recording.seconds, words, is_speech)
                    else:
                        short[index] = read_any(each.path)
                except InputError as error:
                    results[index] = Failure(each.name, str(error).replace(str(each.path), each.name))
            for index, words, alternatives in self._short(short, advance):
                seconds, is_speech = len(short[index]) / SAMPLE_RATE, speech(levels([short[index]]))
                results[index] = _transcript(group[index], seconds, words, is_speech, alternatives)
            yield from (results[index] for index in range(len(group)))

    def _short(
        self, samples: dict[int, Samples], advance: Callable[[float], None]
    ) -> Iterator[tuple[int, list[Word], list[Hypothesis]]]:
        """Yield index, words and likeliest texts of each short recording, the shortest recordings first."""
        order = sorted(samples, key=lambda index: len(samples[index]))
        for batch in _batches([(index, len(samples[index])) for index in order]):
            outputs = self._log_probs([samples[index] for index in batch])
            for index, log_probs in zip(batch, outputs, strict=True):
                yield index, self._words(log_probs, 0), self._alternatives(log_probs)
                advance(len(samples[index]) / SAMPLE_RATE)

    def _long(
        self, recording: LongRecording, is_speech: NDArray[np.bool_], advance: Callable[[float], None]
    ) -> list[Word]:
        """Return the words of a long recording, for its speech in frames of 10 ms."""
        recognizer = self.recognizer
        if self.long == "carry" and self.decode is greedy and can_stream(recognizer):
            reader, words = WordReader(self._clock), []
            for log_probs in stream(recognizer, recording):
                words += reader.read(log_probs, log_probs.argmax(1).tolist())
                advance(len(log_probs) * self._clock.frame)
            return words + reader.finish()
        step = round(self._clock.frame * SAMPLE_RATE)
        # Without padding, convolutions have no output for the first and the last 0.15 s.
        found = windows(stretches(is_speech, self.margin + self._clock.first), step)
        outputs = self._window_outputs(recording, found, advance)
        return [word for start, log_probs in stitched(outputs, step) for word in self._words(log_probs, start)]

    def _window_outputs(
        self, recording: LongRecording, found: Sequence[Window], advance: Callable[[float], None]
    ) -> Iterator[tuple[Window, Tensor]]:
        """Yield each window of a recording with its log-probabilities [t, symbol]."""
        pieces, done = cut(recording.blocks(), [(each.start, each.stop) for each in found]), 0.0
        for batch in _batches([(each, each.stop - each.start) for each in found]):
            yield from zip(batch, self._log_probs([next(pieces) for _ in batch]), strict=True)
            advance(batch[-1].stop / SAMPLE_RATE - done)
            done = batch[-1].stop / SAMPLE_RATE
        advance(recording.seconds - done)

    @torch.inference_mode()
    def _log_probs(self, waveforms: Sequence[Samples]) -> list[Tensor]:
        """Return the log-probabilities [t, symbol] of each waveform, on the CPU."""
        nothing = torch.zeros(0, dtype=torch.int64)
        batch = collate([(index, torch.from_numpy(each), nothing) for index, each in enumerate(waveforms)])
        log_probs, lengths = self.recognizer.log_probs(batch)
        log_probs = log_probs.cpu()
        return [log_probs[: max(0, length), index] for index, length in enumerate(lengths.tolist())]

    def _words(self, log_probs: Tensor, start: int) -> list[Word]:
        """Return the words in log_probs [t, symbol], which begin at sample `start`."""
        (text,) = self.decode(log_probs[:, None], torch.tensor([len(log_probs)]))
        return read_words(log_probs, likeliest_path(log_probs, text), self._clock, start / SAMPLE_RATE)

    def _alternatives(self, log_probs: Tensor) -> list[Hypothesis]:
        """Return the likeliest texts of log_probs [t, symbol], if they were asked for."""
        if not self.nbest or not isinstance(self.decode, BeamSearch):
            return []
        return self.decode.hypotheses(log_probs[:, None], torch.tensor([len(log_probs)]), self.nbest)[0]


def header_seconds(each: Input) -> float:
    """Return the duration of a recording in seconds, as its header states it; 0 if it cannot be read."""
    try:
        return LongRecording(each.path).seconds
    except InputError:
        return 0.0


def stitched(outputs: Iterable[tuple[Window, Tensor]], step: int) -> Iterator[tuple[int, Tensor]]:
    """Yield the first sample and the log-probabilities [t, symbol] of each stretch of speech between two pauses.

    Windows that overlap are cut in the middle of the overlap. step: samples of an output frame.
    """
    settled = round(OVERLAP_SECONDS / 2 * SAMPLE_RATE / step)
    start, whole = 0, torch.empty(0)
    for window, log_probs in outputs:
        if window.continues:
            frame = (window.start - start) // step
            whole = torch.cat([whole[: frame + settled], log_probs[settled:]])
        else:
            if len(whole):
                yield start, whole
            start, whole = window.start, log_probs
    if len(whole):
        yield start, whole


def _groups(inputs: Iterable[Input]) -> Iterator[list[Input]]:
    """Yield the inputs in groups, each of which is sorted by length; a group's results wait for its last one."""
    iterator = iter(inputs)
    while group := list(itertools.islice(iterator, _GROUP_SIZE)):
        yield group


def _batches(lengths: Sequence[tuple[Item, int]]) -> Iterator[list[Item]]:
    """Yield neighbouring items, given with their lengths in samples, that fit into a batch."""
    batch: list[Item] = []
    longest = 0
    for item, samples in lengths:
        longest = max(longest, samples)
        if batch and (len(batch) == _BATCH_SIZE or (len(batch) + 1) * longest > _BATCH_SECONDS * SAMPLE_RATE):
            yield batch
            batch, longest = [], samples
        batch.append(item)
    if batch:
        yield batch


def _transcript(
    each: Input,
    seconds: float,
    words: list[Word],
    is_speech: NDArray[np.bool_],
    alternatives: Sequence[Hypothesis] = (),
) -> Transcript:
    """Return a transcript of words whose times are those of their peaks."""
    return Transcript(
        name=each.name,
        seconds=seconds,
        text=" ".join(word.word for word in words),
        words=placed(words, sounds(is_speech), seconds),
        reference=each.reference,
        alternatives=alternatives,
    )
