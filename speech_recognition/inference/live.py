"""Transcription of a waveform while it is spoken, by a unidirectional model.

What differs from a recording that is complete: the statistics of the normalisation are those of the speech so far.
Nothing is decided until SETTLING_SECONDS of speech were heard, because the statistics of less would cost many errors;
pauses are left out of them, because the model was trained on utterances that are mostly speech.
"""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import soxr
import torch
from torch import Tensor

from speech_recognition import alphabet
from speech_recognition.corpus.chunks import UNKNOWN_LENGTH
from speech_recognition.corpus.recordings import LOWEST_RATE
from speech_recognition.errors import InputError
from speech_recognition.inference.blocks import Samples
from speech_recognition.inference.segments import FRAME, levels, speech
from speech_recognition.inference.streaming import FeatureStream, Statistics, StreamedModel
from speech_recognition.parameters import SAMPLE_RATE
from speech_recognition.recognizer import Recognizer

BLOCK_SECONDS = 0.2
"""Seconds of audio that are computed at once; longer blocks take less time and delay the text by half their length."""

SETTLING_SECONDS = 1.0
"""Seconds of speech before the first text."""

PAUSE_SECONDS = 1.0
"""Pause after which the text goes on in a new line."""

_REMEMBERED = 3000
"""Frames of 10 ms whose levels tell speech from pauses: the last half minute."""

_OTHER_FORMATS = (b"fLaC", b"OggS", b"ID3", b"FORM", b".snd", b"RIFX", b"RF64", b"caff", b"\x1aE\xdf\xa3")
"""First bytes of files that are not raw samples: FLAC, Ogg, MP3, AIFF, AU, rarer forms of WAV, CAF, Matroska."""


@torch.inference_mode()
def live_text(recognizer: Recognizer, blocks: Iterable[Samples]) -> Iterator[str]:
    """Yield the text of a waveform as it is decided, and a line end after each pause and at the end."""
    features, model = FeatureStream(recognizer.features), StreamedModel(recognizer)
    ear, text = _Ear(recognizer), _Text()
    for block in blocks:
        raw = ear.hear(block, features.push(torch.from_numpy(block)))
        yield text.read(model.push(raw))
        if ear.pause >= PAUSE_SECONDS:
            yield text.end_line()
    yield text.read(model.push(ear.rest(features.finish())))
    yield text.read(model.finish())
    yield text.end_line()


class _Ear:
    """Normalisation by the speech so far."""

    def __init__(self, recognizer: Recognizer) -> None:
        self._statistics = Statistics(recognizer.params.features)
        self._level = np.empty(0, np.float32)
        self._heard = 0.0
        """Seconds of speech so far."""
        self._held: list[Tensor] = []
        """Features [1, f, t] that wait for enough speech."""
        self.pause = 0.0
        """Seconds since the last speech."""

    def hear(self, block: Samples, raw: Tensor) -> Tensor:
        """Return the features [1, f, t] that can be normalised, after a block with the features `raw` [1, f, t]."""
        self._listen(block)
        # Features before the first speech are kept out: hours of silence would otherwise wait in memory.
        if self._heard == 0:
            self._held = self._held[-1:]
        self._held.append(raw)
        if self.pause < PAUSE_SECONDS / 2:
            self._statistics.add(raw)
        return raw[..., :0] if self._heard < SETTLING_SECONDS else self.rest(raw[..., :0])

    def rest(self, raw: Tensor) -> Tensor:
        """Return all features that waited, then `raw` [1, f, t], normalised."""
        held, self._held = torch.cat([*self._held, raw], 2), []
        return self._statistics.normalise(held)

    def _listen(self, block: Samples) -> None:
        """Measure the speech in `block`."""
        self._level = np.concatenate([self._level, levels([block])])[-_REMEMBERED:]
        found = speech(self._level)[-max(1, len(block) // FRAME) :]
        self._heard += found.sum() * FRAME / SAMPLE_RATE
        silent = len(found) - 1 - np.flatnonzero(found)[-1] if found.any() else len(found)
        self.pause = (0.0 if found.any() else self.pause) + silent * FRAME / SAMPLE_RATE


class _Text:
    """Greedy decoding of log-probabilities that arrive in parts."""

    def __init__(self) -> None:
        self._previous = alphabet.BLANK
        self._begun = False
        """True if the current line has text."""

    def read(self, log_probs: Tensor) -> str:
        """Return the text that log_probs [t, symbol] add."""
        found = []
        for symbol in log_probs.argmax(1).tolist():
            if symbol not in (self._previous, alphabet.BLANK):
                found.append(symbol)
            self._previous = symbol
        text = alphabet.decode(found)
        if not self._begun:
            text = text.lstrip(" ")
        self._begun = self._begun or bool(text)
        return text

    def end_line(self) -> str:
        """Return a line end if the current line has text, or else nothing."""
        begun, self._begun = self._begun, False
        return "\n" if begun else ""


def read_live(stream: BinaryIO, name: str) -> Iterator[Samples]:
    """Yield blocks of a stream as it arrives, which is a WAV file of 16-bit samples, or only such samples at 16 kHz.

    Raises InputError, its message beginning with `name`, for a WAV header of a different format and for other files.
    """
    head = _read(stream, 12)
    if head.startswith(_OTHER_FORMATS):
        raise _unsuited(name)
    rate, channels, size = SAMPLE_RATE, 1, UNKNOWN_LENGTH
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        rate, channels, size = _read_header(stream, name)
        head = b""
    resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float64", quality="VHQ")
    wanted = round(BLOCK_SECONDS * rate) * 2 * channels
    left = size if size < UNKNOWN_LENGTH else None
    while True:
        content = head + _read(stream, wanted - len(head) if left is None else min(wanted, left))
        head = b""
        if left is not None:
            left -= len(content)
        last = len(content) < wanted
        mixed = np.frombuffer(content[: len(content) // (2 * channels) * 2 * channels], "<i2").reshape(-1, channels)
        samples = mixed.mean(axis=1) if len(mixed) else np.empty(0)
        if rate != SAMPLE_RATE:
            samples = resampler.resample_chunk(samples, last=last)
        yield np.rint(samples).clip(-32_768, 32_767).astype(np.int16)
        if last:
            return


def _read(stream: BinaryIO, size: int) -> bytes:
    """Return the next `size` bytes of a stream, or fewer at its end."""
    content = b""
    while len(content) < size and (more := stream.read(size - len(content))):
        content += more
    return content


def _read_header(stream: BinaryIO, name: str) -> tuple[int, int, int]:
    """Read the chunks of a WAV file up to its samples; return its rate, channels and size of the samples in bytes."""
    rate = channels = 0
    while True:
        head = _read(stream, 8)
        kind, size = head[:4], int.from_bytes(head[4:], "little")
        if kind == b"data" and rate:
            return rate, channels, size
        content = _read(stream, size + size % 2 if size < 2**20 else 0)
        if kind == b"fmt " and len(content) >= 16 and content[14:16] == b"\x10\x00" and content[0] in (1, 0xFE):
            channels, rate = int.from_bytes(content[2:4], "little"), int.from_bytes(content[4:8], "little")
        elif kind == b"fmt " or len(head) < 8 or size >= 2**20:
            raise _unsuited(name)
        if kind == b"fmt " and not (1 <= channels <= 64 and LOWEST_RATE <= rate <= 768_000):
            raise InputError(f"{name}: {channels} channels at {rate} Hz; convert it to one channel at 16000 Hz")


def _unsuited(name: str) -> InputError:
    """Return the error for a stream that is neither a WAV file of 16-bit samples nor such samples."""
    return InputError(f"{name}: --live reads WAV files of 16-bit samples or such samples alone; convert it")
