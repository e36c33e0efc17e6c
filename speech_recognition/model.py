"""DeepSpeech2: two convolutions over the spectrogram, recurrent layers, a linear layer.

Amodei et al. 2016, "Deep Speech 2: End-to-End Speech Recognition in English and Mandarin"; `params.reference()`
has the sizes of MLPerf's reference of 2018.

The output for an utterance does not depend on the other utterances of its batch: padding is zeroed wherever a layer
could see it, BatchNorm's statistics leave it out, and a backward recurrent layer starts at the utterance's own end. On
a CPU, a model with GRU layers computes no padding at all (`_without_padding`).

The spectrogram has a frame every 10 ms, those of `mini` and `small` every 16 ms. The first convolution has stride 2 in
time, so an output frame covers two of them.

Shapes: b utterances, c channels, f frequency bins, t frames (output frames from the first convolution on), n rows (the
output frames of all utterances), d = c * f features of an output frame, later the units of a recurrent layer.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import NamedTuple, TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speech_recognition.alphabet import SYMBOLS
from speech_recognition.batch_norm import MaskedBatchNorm
from speech_recognition.bf16_rnn import bf16_rnn
from speech_recognition.gru import gru
from speech_recognition.lengths import length_mask
from speech_recognition.parameters import ModelParams
from speech_recognition.rows import Rows, Strips

Size = TypeVar("Size", int, Tensor)
"""Size of one tensor, or sizes [b] of several."""


class ConvShape(NamedTuple):
    """Sizes of a convolution, each as (frequency, time)."""

    kernel: tuple[int, int]
    """Size of the kernel."""
    stride: tuple[int, int]
    """Distance between two places of the kernel."""
    padding: tuple[int, int]
    """Zeros added at each end of an axis."""

    def output(self, size: Size, axis: int) -> Size:
        """Return the output's size for an input of `size` along `axis`; 0 or less if the kernel does not fit."""
        return (size + 2 * self.padding[axis] - self.kernel[axis]) // self.stride[axis] + 1


def conv_shapes(params: ModelParams) -> tuple[ConvShape, ConvShape]:
    """Return both convolutions of the reference, padded by half a kernel if `params.conv_padding`."""
    # Without padding, the reference's 161 bins become 61 and then 21 rows: 32 * 21 = 672 inputs of its first GRU.
    return (
        ConvShape((41, 11), (2, 2), (20, 5) if params.conv_padding else (0, 0)),
        ConvShape((21, 11), (2, 1), (10, 5) if params.conv_padding else (0, 0)),
    )


def frames_needed(shapes: Sequence[ConvShape]) -> int:
    """Return the frames that one output frame of convolutions needs: 31 (310 ms) for the reference."""
    needed = 1
    for shape in reversed(shapes):
        needed = (needed - 1) * shape.stride[1] + shape.kernel[1] - 2 * shape.padding[1]
    return needed


def output_frames(shapes: Sequence[ConvShape], frames: Size) -> Size:
    """Return the number of output frames of convolutions for `frames` frames; below 1 if too short for one."""
    for shape in shapes:
        frames = shape.output(frames, axis=1)
    return frames


class ConvBlock(nn.Module):
    """Convolution, BatchNorm, Hardtanh (Hardtanh first if `activation_before_norm`). The output is zero on padding."""

    def __init__(self, params: ModelParams, in_channels: int, shape: ConvShape) -> None:
        """Make a block for inputs of `in_channels` channels."""
        super().__init__()
        self.shape = shape
        channels = params.conv_channels
        self.conv = nn.Conv2d(in_channels, channels, shape.kernel, shape.stride, shape.padding, bias=params.conv_bias)
        self.limit, self.limit_first = params.activation_limit, params.activation_before_norm
        # A Hardtanh after BatchNorm is part of it, which saves a pass over the model's largest activations.
        self.norm = MaskedBatchNorm(
            channels, 1, params.batch_norm_momentum, limit=None if self.limit_first else self.limit
        )

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Return the block's output [b, c, f, t] and its lengths [b] in output frames.

        x: [b, c, f, t], zero on padding; lengths: [b], in frames of x.
        """
        lengths = self.shape.output(lengths, axis=1).clamp(min=0)
        return self.masked(x, lambda size: length_mask(lengths, size)[:, None, None]), lengths  # mask: [b, 1, 1, t]

    def masked(self, x: Tensor, mask: Callable[[int], Tensor]) -> Tensor:
        """Return the block's output [b, c, f, t], zero where the mask for its number of frames t is false."""
        x = self.conv(x)
        if self.limit_first:
            x = F.hardtanh(x, 0, self.limit)
        y: Tensor = self.norm(x, mask(x.shape[3]))
        return y


# torch's own layers on every device: a checkpoint from a GPU also fits gru.py, which takes their weights.
_RNN: dict[str, Callable[[int, int], nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}


class Recurrent(nn.Module):
    """Optional BatchNorm, then a recurrent layer; in two directions, the outputs are added or concatenated."""

    def __init__(self, params: ModelParams, inputs: int, batch_norm: bool) -> None:
        """Make a layer for `inputs` features of an output frame; its own output has `self.outputs`."""
        super().__init__()
        kind, units = _RNN[params.rnn_type], params.rnn_units
        self.norm = MaskedBatchNorm(inputs, 2, params.batch_norm_momentum) if batch_norm else None
        self.forwards = kind(inputs, units)
        self.backwards = kind(inputs, units) if params.bidirectional else None
        self.bf16 = params.precision == "bf16"
        self.concat = params.bidirectional and params.merge == "concat"
        self.outputs = 2 * units if self.concat else units

    def forward(self, x: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
        """Return the layer's output [t, b, outputs]. Its values on padding are undefined; callers must mask them.

        x: [t, b, d]; lengths: [b], in output frames; mask: [t, b, 1], false on padding.
        """
        if self.norm is not None:
            x = self.norm(x, mask)
        if self.backwards is None:
            return self._run(self.forwards, x)
        order = reversal(lengths, x.shape[0])
        return self._merged(self._run(self.forwards, x), reorder(self._run(self.backwards, reorder(x, order)), order))

    def _run(self, layer: nn.RNNBase, x: Tensor) -> Tensor:
        """Return the output [t, b, u] of one direction for x [t, b, d]."""
        if self.bf16 and x.device.type != "cpu":
            return bf16_rnn(layer, x)
        y: Tensor = layer(x)[0]
        return y

    def over_rows(self, x: Tensor, rows: Rows) -> Tensor:
        """Return the layer's output [n, outputs] for x [n, d] in the order of `rows`, for GRU layers on a CPU."""
        if self.norm is not None:
            x = over_rows(self.norm, x)
        if self.backwards is None:
            return gru([self.forwards], x, rows.active)[0]
        return self._merged(*gru([self.forwards, self.backwards], x, rows.active))

    def _merged(self, y: Tensor, z: Tensor) -> Tensor:
        """Return the outputs of both directions, joined."""
        return torch.cat([y, z], dim=-1) if self.concat else y + z


def over_rows(norm: nn.Module, x: Tensor) -> Tensor:
    """Return the output of a MaskedBatchNorm of [t, b, d] for rows x [n, d], none of which is padding."""
    y: Tensor = norm(x[None], x.new_ones(1, 1, 1))
    return y[0]


def reversal(lengths: Tensor, size: int) -> Tensor:
    """Return indices [size, b] that reverse the first `lengths` [b] output frames and keep padding in place."""
    frame = torch.arange(size, device=lengths.device)[:, None]
    return torch.where(frame < lengths, lengths - 1 - frame, frame)


def reorder(x: Tensor, order: Tensor) -> Tensor:
    """Return `x` [t, b, d] with each utterance's output frames in the order of the indices `order` [t, b]."""
    return x.gather(0, order[:, :, None].expand_as(x))


class DeepSpeech2(nn.Module):
    """DeepSpeech2: spectrograms in, log-probabilities of the 29 symbols out, an output frame for every two frames."""

    def __init__(self, params: ModelParams, bins: int) -> None:
        """Make the model for spectrograms of `bins` rows, with torch's default initialisation."""
        super().__init__()
        self.bf16 = params.precision == "bf16"
        first, second = self.conv_shapes = conv_shapes(params)
        self.conv = nn.ModuleList([ConvBlock(params, 1, first), ConvBlock(params, params.conv_channels, second)])
        inputs = params.conv_channels * second.output(first.output(bins, axis=0), axis=0)
        self.rnn = nn.ModuleList()
        for index in range(params.rnn_layers):
            # No BatchNorm before the first recurrent layer: its inputs come out of a convolution's BatchNorm.
            self.rnn.append(layer := Recurrent(params, inputs, params.rnn_batch_norm and index > 0))
            inputs = layer.outputs
        self.norm = MaskedBatchNorm(inputs, 2, params.batch_norm_momentum)
        self.linear = nn.Linear(inputs, len(SYMBOLS), bias=params.linear_bias)
        self.arrange()

    def arrange(self) -> None:
        """Put the second convolution's weights in the memory order that is fastest for the model's precision."""
        # Not in float32, where channels last is slower on a CPU: 4.2 s a step instead of 3.8 (docs/LOG.md). The first
        # convolution has one channel, which is first and last.
        if self.bf16:
            weight = self.conv[1].get_parameter("conv.weight")
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)

    def output_lengths(self, frames: Size) -> Size:
        """Return the number of output frames for spectrograms of `frames` frames; below 1 if too short for one."""
        return output_frames(self.conv_shapes, frames)

    def forward(self, spectrograms: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return log-probabilities [t, b, symbol], in float32 or wider, and their lengths [b] in output frames.

        spectrograms: [b, f, t], zero on padding; frames: [b], lengths of the utterances. The lengths that are returned
        are on the device of `frames`: on the host, nobody who reads them has to wait for a GPU.
        """
        # On a CPU, gru.py and rows.py halve a training step (docs/LOG.md); on a GPU, cuDNN has a fused layer.
        if spectrograms.device.type == "cpu" and all(isinstance(layer.forwards, nn.GRU) for layer in self.rnn):
            return self._without_padding(spectrograms, frames)
        x, lengths = self.convolve(spectrograms, frames.to(spectrograms.device, non_blocking=True))
        return self.recur(x, lengths), self.output_lengths(frames).clamp(min=0)

    def _without_padding(self, spectrograms: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return what `forward` returns: convolutions run over strips, the other layers over rows (rows.py)."""
        order = frames.argsort(descending=True, stable=True)
        strips = Strips(frames[order], *self.conv_shapes)
        rows = Rows(strips.lengths)
        x = strips.lay(spectrograms[order], frames_needed(self.conv_shapes))
        with self._autocast(x):
            for index, block in enumerate(cast(Iterable[ConvBlock], self.conv)):
                x = block.masked(x, partial(strips.mask, index))
            x = strips.rows(x, rows)
            for layer in cast(Iterable[Recurrent], self.rnn):
                x = layer.over_rows(x, rows)
            log_probs = self._log_probs(over_rows(self.norm, x))
        back = order.argsort()
        return rows.pad(log_probs, back), strips.lengths[back]

    def convolve(self, spectrograms: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output of the convolutions [t, b, d], zero on padding, and its lengths [b] in output frames.

        spectrograms: [b, f, t], zero on padding; frames: [b], lengths of the utterances.
        """
        x, lengths = self._pad_to_kernels(spectrograms)[:, None], frames  # [b, 1, f, t]
        with self._autocast(x):
            for block in self.conv:
                x, lengths = block(x, lengths)
        return x.flatten(1, 2).permute(2, 0, 1), lengths  # [b, c, f, t] to [t, b, d]

    def recur(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return log-probabilities [t, b, symbol], in float32 or wider, for the output of the convolutions.

        x: [t, b, d], zero on padding; lengths: [b], in output frames.
        """
        mask = length_mask(lengths, x.shape[0]).T[:, :, None]  # [t, b, 1]
        with self._autocast(x):
            for layer in self.rnn:
                x = layer(x, lengths, mask)
            return self._log_probs(self.norm(x, mask))

    def _log_probs(self, x: Tensor) -> Tensor:
        """Return the log-probabilities [..., symbol] for the last layer's inputs [..., d]."""
        logits = self.linear(x)
        # bfloat16 would round log-probabilities between -8 and -16 to multiples of 1/16. Float64 stays as it is.
        log_probs: Tensor = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)
        return log_probs

    def _autocast(self, x: Tensor) -> AbstractContextManager[object]:
        """Return a context in which products on the device of `x` are computed in bfloat16, if the model has it."""
        return torch.autocast(x.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def _pad_to_kernels(self, spectrograms: Tensor) -> Tensor:
        """Return `spectrograms` [b, f, t], padded with zero frames to fit the kernels of one output frame.

        A convolution fails on an input that is shorter than its kernel, as in a batch of very short utterances.
        """
        needed = frames_needed(self.conv_shapes)
        return F.pad(spectrograms, (0, max(0, needed - spectrograms.shape[2])))


def build_model(params: ModelParams, bins: int, seed: int) -> DeepSpeech2:
    """Return a model initialised as torch does, but for `params.batch_norm_scale`, from `seed` alone.

    torch's random generator is left as it is.
    """
    # devices=[]: weights are drawn on the CPU, so no GPU's generator needs to be saved.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = DeepSpeech2(params, bins)
        if params.batch_norm_scale == "uniform":
            # After all other weights, which are the same with either scale.
            for norm in (module for module in model.modules() if isinstance(module, MaskedBatchNorm)):
                nn.init.uniform_(norm.weight)
        return model
