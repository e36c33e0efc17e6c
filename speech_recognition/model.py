"""DeepSpeech2: two convolutions over the spectrogram, recurrent layers, a linear layer.

Amodei et al. 2016, "Deep Speech 2: End-to-End Speech Recognition in English and
Mandarin"; the sizes of the MLPerf reference are `params.reference()`.

What an utterance gives does not depend on the others in its batch: everything
after its end is zeroed where a layer could see it, BatchNorm's statistics leave
it out, and a backward recurrent layer starts at the utterance's own end.

Shapes: b utterances, c channels, f frequency bins, t frames, d = c * f features.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from params import ModelParams
from speech_recognition import distributed
from speech_recognition.alphabet import SYMBOLS
from speech_recognition.features import valid

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


class _Normalize(torch.autograd.Function):
    """Masked normalisation by the batch's own statistics, with its gradient written out.

    Left to autograd, every masking is a pass over memory in both directions:
    this form takes a seventh of the time on a CPU.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, mask: Tensor, axis: int, epsilon: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Normalised `x` (zero on padding), mean, biased variance and count of each feature's cells."""
        others, shape = _around(x, axis)
        count = mask.sum() * (x.numel() // (mask.numel() * x.shape[axis]))
        count, total = _over_all(count, (x * mask).sum(others))
        mean = total / count
        normal = (x - mean.view(shape)).mul_(mask)
        variance = distributed.add(normal.square().sum(others)) / count
        deviation = (variance + epsilon).sqrt()
        normal.div_(deviation.view(shape))
        ctx.axis = axis
        ctx.save_for_backward(normal, mask, deviation, count)
        ctx.mark_non_differentiable(mean, variance, count)
        return normal, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor, None, None, None]:
        """Ioffe and Szegedy 2015, section 3, over the cells that are no padding."""
        normal, mask, deviation, count = ctx.saved_tensors
        others, shape = _around(normal, ctx.axis)
        masked = gradient * mask
        sums = distributed.add(torch.stack([masked.sum(others), (masked * normal).sum(others)]))
        shift, slope = sums / count
        centred = torch.addcmul(masked, normal, -slope.view(shape)).sub_(shift.view(shape))
        return centred.div_(deviation.view(shape)).mul_(mask), None, None, None


def _over_all(count: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """A count and sums [features], over all processes; together, and in float64, which holds any count."""
    if distributed.size() == 1:
        return count, total
    both = distributed.add(torch.cat([count.double()[None], total.double()]))
    return both[0].to(total.dtype), both[1:].to(total.dtype)


def _around(x: Tensor, axis: int) -> tuple[list[int], list[int]]:
    """All axes of `x` but `axis`, and the shape that lays a vector along `axis`."""
    return [other for other in range(x.ndim) if other != axis], [-1 if a == axis else 1 for a in range(x.ndim)]


class MaskedBatchNorm(nn.Module):
    """BatchNorm (Ioffe and Szegedy 2015) whose statistics leave the padding out.

    They are those of the whole batch, over all processes: torch's SyncBatchNorm
    needs GPUs and knows no padding. In training the running variance is the unbiased one, as in torch's own.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, features: int, axis: int, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        """`axis` of the input holds the `features`."""
        super().__init__()
        self.axis, self.momentum, self.epsilon = axis, momentum, epsilon
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_variance", torch.ones(features))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Normalised `x`; `mask` is false on padding, where the output has no meaning, and has size 1 along `axis`."""
        _, shape = _around(x, self.axis)
        if not self.training:
            scale = self.weight / (self.running_variance + self.epsilon).sqrt()
            return torch.addcmul((self.bias - self.running_mean * scale).view(shape), x, scale.view(shape))
        normal, mean, variance, count = _Normalize.apply(x, mask, self.axis, self.epsilon)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_variance.lerp_(variance * count / (count - 1).clamp(min=1), self.momentum)
        return torch.addcmul(self.bias.view(shape), normal, self.weight.view(shape))


class ConvBlock(nn.Module):
    """Convolution, BatchNorm, Hardtanh from 0 to its limit; zero after each utterance's end."""

    def __init__(self, params: ModelParams, in_channels: int, shape: ConvShape) -> None:
        super().__init__()
        self.shape, self.limit = shape, params.activation_limit
        channels = params.conv_channels
        self.conv = nn.Conv2d(in_channels, channels, shape.kernel, shape.stride, shape.padding, bias=params.conv_bias)
        self.norm = MaskedBatchNorm(channels, axis=1, momentum=params.batch_norm_momentum)

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """[b, c, f, t], zero after the ends, and lengths [b] in frames; the same after the block."""
        x = self.conv(x)
        lengths = self.shape.output(lengths, axis=1).clamp(min=0)
        mask = valid(lengths, x.shape[3])[:, None, None]
        return F.hardtanh(self.norm(x, mask), 0, self.limit) * mask, lengths


_RNN: dict[str, Callable[[int, int], nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


class Recurrent(nn.Module):
    """BatchNorm where asked for, then a recurrent layer in one direction, or in two that are added or concatenated."""

    def __init__(self, params: ModelParams, inputs: int, batch_norm: bool) -> None:
        super().__init__()
        kind, units = _RNN[params.rnn_type], params.rnn_units
        self.norm = MaskedBatchNorm(inputs, axis=2, momentum=params.batch_norm_momentum) if batch_norm else None
        self.forwards = kind(inputs, units)
        self.backwards = kind(inputs, units) if params.bidirectional else None
        self.concat = params.bidirectional and params.merge == "concat"
        self.outputs = 2 * units if self.concat else units

    def forward(self, x: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """[t, b, d] to [t, b, outputs]; frames after an utterance's end hold no meaning."""
        if self.norm is not None:
            x = self.norm(x, mask)
        y: Tensor = self.forwards(x)[0]
        if self.backwards is not None:
            order = reversal(lengths, x.shape[0])
            z = reorder(self.backwards(reorder(x, order))[0], order)
            return torch.cat([y, z], dim=2) if self.concat else y + z
        return y


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
        first, second = self.conv_shapes = conv_shapes(params)
        self.conv = nn.ModuleList([ConvBlock(params, 1, first), ConvBlock(params, params.conv_channels, second)])
        inputs = params.conv_channels * second.output(first.output(bins, axis=0), axis=0)
        self.rnn = nn.ModuleList()
        for index in range(params.rnn_layers):
            self.rnn.append(layer := Recurrent(params, inputs, params.rnn_batch_norm and index > 0))
            inputs = layer.outputs
        self.norm = MaskedBatchNorm(inputs, axis=2, momentum=params.batch_norm_momentum)
        self.linear = nn.Linear(inputs, len(SYMBOLS), bias=params.linear_bias)

    def output_lengths(self, frames: Size) -> Size:
        """Frames of log-probabilities for spectrograms of `frames` frames; below 1 where there are none."""
        for shape in self.conv_shapes:
            frames = shape.output(frames, axis=1)
        return frames

    def forward(self, spectrograms: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probabilities [t, b, symbol], at least in float32, and their lengths [b].

        spectrograms: [b, f, t], zero after each utterance's `frames` [b].
        """
        x, lengths = self._pad_to_kernels(spectrograms)[:, None], frames  # [b, 1, f, t]
        for block in self.conv:
            x, lengths = block(x, lengths)
        x = x.flatten(1, 2).permute(2, 0, 1)  # [t, b, d]
        mask = valid(lengths, x.shape[0]).T[:, :, None]
        for layer in self.rnn:
            x = layer(x, lengths, mask)
        logits = self.linear(self.norm(x, mask))
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1), lengths

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
