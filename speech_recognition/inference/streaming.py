"""A unidirectional model over a waveform that arrives in blocks: the state of every layer is carried over.

The log-probabilities are those of the whole waveform at once, whatever the blocks are, because each layer keeps the
inputs that its next output needs: the STFT the samples of an unfinished window, a convolution the frames under its
kernel, a recurrent layer its state. Only the normalisation needs the whole waveform; `Statistics` gathers it in a pass
before, or as the waveform goes on (inference/live.py).

Shapes: s samples, f frequency bins, c channels, t frames of the spectrogram or of the output.
"""

from collections.abc import Iterable, Iterator
from typing import TypeGuard, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from speech_recognition.alphabet import SYMBOLS
from speech_recognition.features import Features, reflect_ends
from speech_recognition.inference.blocks import LongRecording, Samples
from speech_recognition.model import ConvBlock, Recurrent
from speech_recognition.parameters import FeatureParams
from speech_recognition.recognizer import AnyRecognizer, Recognizer


def can_stream(recognizer: AnyRecognizer) -> TypeGuard[Recognizer]:
    """Return whether a recognizer's model runs in one direction and in torch, so that its state can be carried over."""
    return isinstance(recognizer, Recognizer) and not recognizer.params.model.bidirectional


@torch.inference_mode()
def stream(recognizer: Recognizer, recording: LongRecording) -> Iterator[Tensor]:
    """Yield the log-probabilities [t, symbol] of a recording part by part, normalised as a whole in a first pass."""
    statistics = Statistics(recognizer.params.features)
    for raw in raw_features(recognizer.features, recording.blocks()):
        statistics.add(raw)
    model = StreamedModel(recognizer)
    for raw in raw_features(recognizer.features, recording.blocks()):
        yield model.push(statistics.normalise(raw))
    yield model.finish()


def raw_features(features: Features, blocks: Iterable[Samples]) -> Iterator[Tensor]:
    """Yield the features [1, f, t] of a waveform in blocks, before normalisation."""
    stream = FeatureStream(features)
    for block in blocks:
        yield stream.push(torch.from_numpy(block))
    yield stream.finish()


class Statistics:
    """Mean and deviation of all features so far, as `FeatureParams.normalize` asks; sums are kept in float64."""

    def __init__(self, params: FeatureParams) -> None:
        """Begin without any feature."""
        self._by_bin = params.normalize == "bin"
        self.count = 0
        """Number of cells in each sum."""
        self._sum = self._squares = torch.zeros((), dtype=torch.float64)
        self._shift = torch.zeros(1, dtype=torch.float64)

    def add(self, raw: Tensor) -> None:
        """Add features [1, f, t]."""
        cells = raw[0].double() if self._by_bin else raw.double().flatten()
        if self.count == 0 and cells.shape[-1]:
            # Sums of what differs from a first value: of digital silence, the squares would cancel to noise.
            self._shift = cells[..., :1]
        cells = cells - self._shift
        self.count += cells.shape[-1]
        self._sum = self._sum + cells.sum(-1)
        self._squares = self._squares + cells.square().sum(-1)

    def normalise(self, raw: Tensor) -> Tensor:
        """Return features [1, f, t] less the mean, divided by the deviation; features.py has the same two formulas."""
        count = max(self.count, 1)
        mean = self._sum / count
        variance = (self._squares / count - mean.square()).clamp(min=0)
        if self._by_bin:
            deviation = variance.sqrt() + 1e-6
        else:
            deviation = (variance * count / max(count - 1, 1)).sqrt().clamp(min=1e-5)
        mean, deviation = (each.to(raw).reshape(-1, 1) for each in (mean + self._shift.squeeze(-1), deviation))
        return (raw - mean) / deviation


class FeatureStream:
    """Features of one waveform that arrives in blocks, before normalisation."""

    def __init__(self, features: Features) -> None:
        """Begin before the first sample."""
        self._features = features
        self._margin = features.params.fft_samples // 2
        self._held = features.window.new_empty(0)
        """[s], samples from the next window's beginning on, the mirrored beginning included."""
        self._last = self._held
        """[s], the waveform's last samples, which are mirrored at its end."""
        self._begun = False

    def push(self, samples: Tensor) -> Tensor:
        """Return the features [1, f, t] of all windows that 16-bit `samples` [s] complete."""
        samples = samples.to(self._held) / 32768
        self._held = torch.cat([self._held, samples])
        self._last = torch.cat([self._last, samples])[-self._margin - 1 :]
        if not self._begun:
            if len(self._held) <= self._margin:
                return self._nothing()
            self._held = torch.cat([self._held[1 : self._margin + 1].flip(0), self._held])
            self._begun = True
        return self._windows()

    def finish(self) -> Tensor:
        """Return the features [1, f, t] of the windows that reach over the waveform's end."""
        if self._begun:
            self._held = torch.cat([self._held, self._last[:-1].flip(0)])
        else:
            length = torch.tensor([len(self._held)], device=self._held.device)
            if len(self._held) == 0:
                return self._nothing()
            self._held = reflect_ends(self._held[None], length, self._margin)[0]
        return self._windows()

    def _windows(self) -> Tensor:
        """Return the features of all whole windows, and forget the samples that no later window needs."""
        size, hop = self._features.params.fft_samples, self._features.params.hop_samples
        count = (len(self._held) - size) // hop + 1
        if count <= 0:
            return self._nothing()
        raw = self._features.raw(self._held[None, : (count - 1) * hop + size])
        self._held = self._held[count * hop :]
        return raw

    def _nothing(self) -> Tensor:
        return self._held.new_empty(1, self._features.params.bins, 0)


class _StreamedConv:
    """A block of convolution, BatchNorm and Hardtanh over frames that arrive in parts."""

    def __init__(self, block: ConvBlock) -> None:
        self._block = block
        self._held: Tensor | None = None
        """[1, c, f, t], frames from the next output's kernel on; None before the first ones."""

    def push(self, x: Tensor) -> Tensor:
        """Return the outputs [1, c, f, t] that the frames x [1, c, f, t] complete."""
        conv, shape, padding = self._block.conv, self._block.shape, self._block.shape.padding
        self._held = F.pad(x, (padding[1], 0)) if self._held is None else torch.cat([self._held, x], 3)
        count = max(0, (self._held.shape[3] - shape.kernel[1]) // shape.stride[1] + 1)
        if count == 0:
            rows = shape.output(x.shape[2], axis=0)
            return x.new_empty(1, conv.out_channels, rows, 0)
        end = (count - 1) * shape.stride[1] + shape.kernel[1]
        y = F.conv2d(self._held[..., :end], conv.weight, conv.bias, shape.stride, (padding[0], 0))
        self._held = self._held[..., count * shape.stride[1] :]
        if self._block.limit_first:
            y = F.hardtanh(y, 0, self._block.limit)
        return self._block.norm(y, y.new_ones(1, 1, 1, 1))  # type: ignore[no-any-return]

    def finish(self, x: Tensor) -> Tensor:
        """Return the outputs that the last frames x complete, and those whose kernels reach over the end."""
        return self.push(F.pad(x, (0, self._block.shape.padding[1])))


class StreamedModel:
    """A unidirectional model over a spectrogram that arrives in parts. Expects evaluation mode."""

    def __init__(self, recognizer: Recognizer) -> None:
        """Begin before the first frame, with the state of every recurrent layer at zero."""
        self._model = recognizer.model
        self._nothing = recognizer.features.window.new_empty(1, recognizer.features.params.bins, 0)
        self._conv = [_StreamedConv(block) for block in self._model.conv]  # type: ignore[arg-type]
        self._states: list[Tensor | None] = [None] * len(self._model.rnn)

    def push(self, spectrogram: Tensor) -> Tensor:
        """Return the log-probabilities [t, symbol] that the frames of a normalised spectrogram [1, f, t] complete."""
        return self._log_probs(spectrogram, last=False)

    def finish(self) -> Tensor:
        """Return the log-probabilities [t, symbol] at the end of the spectrogram."""
        return self._log_probs(self._nothing, last=True)

    def _log_probs(self, spectrogram: Tensor, last: bool) -> Tensor:
        model = self._model
        with torch.autocast(spectrogram.device.type, torch.bfloat16, enabled=model.bf16):
            x = spectrogram[:, None]  # [1, c, f, t]
            for conv in self._conv:
                x = conv.finish(x) if last else conv.push(x)
            if x.shape[3] == 0:
                return x.new_empty(0, len(SYMBOLS), dtype=torch.float32)
            x = x.flatten(1, 2).permute(2, 0, 1)  # [t, 1, d]
            mask = x.new_ones(1, 1, 1)
            for index, layer in enumerate(cast(Iterable[Recurrent], model.rnn)):
                if layer.norm is not None:
                    x = layer.norm(x, mask)
                x, self._states[index] = layer.forwards(x, self._states[index])
            logits = model.linear(model.norm(x, mask))[:, 0]
        log_probs: Tensor = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
        return log_probs
