"""DeepSpeech2: two convolutions over the spectrogram, recurrent layers, a linear layer.

Amodei et al. 2016, "Deep Speech 2: End-to-End Speech Recognition in English and
Mandarin"; the sizes of the MLPerf reference are `params.reference()`.

What an utterance gives does not depend on the others in its batch: everything
after its end is zeroed where a layer could see it, BatchNorm's statistics leave
it out, and a backward recurrent layer starts at the utterance's own end.

Shapes: b utterances, c channels, f frequency bins, t frames, d = c * f features.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from params import ModelParams
from speech_recognition.alphabet import SYMBOLS
from speech_recognition.batch_norm import MaskedBatchNorm
from speech_recognition.gru import gru
from speech_recognition.lengths import length_mask

Size = TypeVar("Size", int, Tensor)


class ConvShape(NamedTuple):
    """A convolution along (frequency, time)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]

    def output(self, size: Size, axis: int) -> Size:
        """Output size for an input of `size` along `axis`; zero or less where nothing fits."""
        return (size + 2 * self.padding[axis] - self.kernel[axis]) // self.stride[axis] + 1


def conv_shapes(params: ModelParams) -> tuple[ConvShape, ConvShape]:
    """The two convolutions of the reference, padded by half a kernel where that is asked for."""
    return (
        ConvShape((41, 11), (2, 2), (20, 5) if params.conv_padding else (0, 0)),
        ConvShape((21, 11), (2, 1), (10, 5) if params.conv_padding else (0, 0)),
    )


class ConvBlock(nn.Module):
    """Convolution, BatchNorm, Hardtanh from 0 to its limit, or these two the other way round; zero after the ends."""

    def __init__(self, params: ModelParams, in_channels: int, shape: ConvShape) -> None:
        super().__init__()
        self.shape = shape
        channels = params.conv_channels
        self.conv = nn.Conv2d(in_channels, channels, shape.kernel, shape.stride, shape.padding, bias=params.conv_bias)
        self.limit, self.limit_first = params.activation_limit, params.activation_before_norm
        self.norm = MaskedBatchNorm(
            channels, 1, params.batch_norm_momentum, limit=None if self.limit_first else self.limit
        )

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """[b, c, f, t], zero after the ends, and lengths [b] in frames; the same after the block."""
        x = self.conv(x)
        if self.limit_first:
            x = F.hardtanh(x, 0, self.limit)
        lengths = self.shape.output(lengths, axis=1).clamp(min=0)
        return self.norm(x, length_mask(lengths, x.shape[3])[:, None, None]), lengths


_RNN: dict[str, Callable[[int, int], nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


class Recurrent(nn.Module):
    """BatchNorm where asked for, then a recurrent layer in one direction, or in two that are added or concatenated."""

    def __init__(self, params: ModelParams, inputs: int, batch_norm: bool) -> None:
        super().__init__()
        kind, units = _RNN[params.rnn_type], params.rnn_units
        self.norm = MaskedBatchNorm(inputs, 2, params.batch_norm_momentum) if batch_norm else None
        self.forwards = kind(inputs, units)
        self.backwards = kind(inputs, units) if params.bidirectional else None
        self.concat = params.bidirectional and params.merge == "concat"
        self.outputs = 2 * units if self.concat else units

    def forward(self, x: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """[t, b, d], the longest utterance first, to [t, b, outputs], which holds anything after an utterance's end."""
        if self.norm is not None:
            x = self.norm(x, mask)
        if self.backwards is None:
            return self._run([self.forwards], [x], mask)[0]
        order = reversal(lengths, x.shape[0])
        y, z = self._run([self.forwards, self.backwards], [x, reorder(x, order)], mask)
        z = reorder(z, order)
        return torch.cat([y, z], dim=2) if self.concat else y + z

    def _run(self, layers: Sequence[nn.RNNBase], inputs: Sequence[Tensor], mask: Tensor) -> Sequence[Tensor]:
        if isinstance(self.forwards, nn.GRU) and not inputs[0].is_cuda:
            return gru(layers, inputs, mask[:, :, 0].sum(1).tolist()).unbind()
        return [layer(x)[0] for layer, x in zip(layers, inputs, strict=True)]


def reversal(lengths: Tensor, size: int) -> Tensor:
    """Frame numbers [size, b] that turn each utterance round and leave its padding in place."""
    frame = torch.arange(size, device=lengths.device)[:, None]
    return torch.where(frame < lengths, lengths - 1 - frame, frame)


def reorder(x: Tensor, order: Tensor) -> Tensor:
    """`x` [t, b, d] with the frames of each utterance taken in `order` [t, b]."""
    return x.gather(0, order[:, :, None].expand_as(x))


class DeepSpeech2(nn.Module):
    """Spectrograms to log-probabilities of the 29 symbols, one frame for about two of the input."""

    def __init__(self, params: ModelParams, bins: int) -> None:
        """`bins` is the height of the spectrograms."""
        super().__init__()
        self.bf16 = params.precision == "bf16"
        first, second = self.conv_shapes = conv_shapes(params)
        self.conv = nn.ModuleList([ConvBlock(params, 1, first), ConvBlock(params, params.conv_channels, second)])
        inputs = params.conv_channels * second.output(first.output(bins, axis=0), axis=0)
        self.rnn = nn.ModuleList()
        for index in range(params.rnn_layers):
            self.rnn.append(layer := Recurrent(params, inputs, params.rnn_batch_norm and index > 0))
            inputs = layer.outputs
        self.norm = MaskedBatchNorm(inputs, 2, params.batch_norm_momentum)
        self.linear = nn.Linear(inputs, len(SYMBOLS), bias=params.linear_bias)
        if self.bf16:
            for weight in (block.get_parameter("conv.weight") for block in self.conv):
                weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    def output_lengths(self, frames: Size) -> Size:
        """Frames of log-probabilities for spectrograms of `frames` frames; below 1 where there are none."""
        for shape in self.conv_shapes:
            frames = shape.output(frames, axis=1)
        return frames

    def forward(self, spectrograms: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities [t, b, symbol], at least in float32, and their lengths [b].

        spectrograms: [b, f, t], zero after each utterance's `frames` [b].
        """
        with torch.autocast(spectrograms.device.type, torch.bfloat16, enabled=self.bf16):
            logits, lengths = self._logits(spectrograms, frames)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1), lengths

    def _logits(self, spectrograms: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        order = frames.argsort(descending=True, stable=True)  # the longest first: see gru.py
        x, lengths = self._pad_to_kernels(spectrograms[order])[:, None], frames[order]  # [b, 1, f, t]
        for block in self.conv:
            x, lengths = block(x, lengths)
        x = x.flatten(1, 2).permute(2, 0, 1)  # [t, b, d]
        mask = length_mask(lengths, x.shape[0]).T[:, :, None]
        for layer in self.rnn:
            x = layer(x, lengths, mask)
        back = order.argsort()
        return self.linear(self.norm(x, mask))[:, back], lengths[back]

    def _pad_to_kernels(self, spectrograms: Tensor) -> Tensor:
        """Enough frames for one output frame: a batch of only short utterances still has a shape."""
        first, second = self.conv_shapes
        needed = 1
        for shape in (second, first):
            needed = (needed - 1) * shape.stride[1] + shape.kernel[1] - 2 * shape.padding[1]
        return F.pad(spectrograms, (0, max(0, needed - spectrograms.shape[2])))


def build_model(params: ModelParams, bins: int, seed: int) -> DeepSpeech2:
    """A model with torch's default initialisation, drawn from `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DeepSpeech2(params, bins)
