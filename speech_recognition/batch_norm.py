"""BatchNorm whose statistics leave the padding out and are those of the whole batch, over all processes.

Ioffe and Szegedy 2015. torch's SyncBatchNorm needs GPUs and knows no padding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speech_recognition.runtime import distributed


class MaskedBatchNorm(nn.Module):
    """Normalised input, zero on padding; cut off to [0, limit] where there is a limit.

    In training the running variance is the unbiased one, as in torch's own.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, axis: int, momentum: float, limit: float | None = None) -> None:
        """`axis` of the input holds the `features`."""
        super().__init__()
        self.axis, self.momentum, self.limit, self.epsilon = axis, momentum, limit, 1e-5
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`mask` is false on padding and has size 1 along `axis`."""
        x, mask = x.to(self.weight.dtype), mask.to(self.weight.dtype)
        if not self.training:
            return self._by_running_statistics(x, mask)
        arguments = (x, mask, self.weight, self.bias, self.axis, self.epsilon, self.limit)
        y: Tensor
        y, mean, variance, count = _Normalize.apply(*arguments)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1).clamp(min=1), self.momentum)
        return y

    def _by_running_statistics(self, x: Tensor, mask: Tensor) -> Tensor:
        shape = _along(x, self.axis)
        scale = self.weight / (self.running_var + self.epsilon).sqrt()
        y = torch.addcmul((self.bias - self.running_mean * scale).view(shape), x, scale.view(shape))
        return (y if self.limit is None else F.hardtanh(y, 0, self.limit)) * mask


class _Normalize(torch.autograd.Function):
    """Normalisation by the batch's own statistics, scaled, shifted and cut off, with its gradient written out.

    Left to autograd, every masking is a pass over memory in both directions. Here products of the
    mask with vectors, which are small, do all masking: five passes forwards and six back.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, mask: Tensor, weight: Tensor, bias: Tensor, axis: int, epsilon: float, limit: float | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Output, mean, biased variance and count of each feature's cells."""
        others, shape = [other for other in range(x.ndim) if other != axis], _along(x, axis)
        count = mask.sum() * (x.numel() // (mask.numel() * x.shape[axis]))
        count, total = _over_all(count, _masked_sum(x, mask, axis))
        mean = total / count
        centred = torch.addcmul(-mean.view(shape) * mask, x, mask)
        variance = distributed.all_reduce(torch.linalg.vector_norm(centred, dim=others).square()) / count
        deviation = (variance + epsilon).sqrt()
        y = torch.addcmul(bias.view(shape) * mask, centred, (weight / deviation).view(shape))
        if limit is not None:
            y.clamp_(0, limit)
        ctx.axis, ctx.limit = axis, limit
        ctx.save_for_backward(centred, mask, weight, deviation, count, y if limit is not None else None)
        ctx.mark_non_differentiable(mean, variance, count)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Section 3 of the paper, over the cells that are no padding."""
        centred, mask, weight, deviation, count, y = ctx.saved_tensors
        others, shape = [other for other in range(centred.ndim) if other != ctx.axis], _along(centred, ctx.axis)
        # A cut-off output is 0 on padding, and what was cut off has no gradient.
        limit = ctx.limit
        gradient = gradient * mask if limit is None else torch.ops.aten.hardtanh_backward(gradient, y, 0, limit)
        own = torch.stack([gradient.sum(others), (gradient * centred).sum(others) / deviation])
        shift, slope = distributed.all_reduce(own.clone()) / count
        scale = weight / deviation
        x = torch.addcmul((-shift * scale).view(shape) * mask, gradient, scale.view(shape))
        x.addcmul_(centred, (-slope * scale / deviation).view(shape))
        return x, None, own[1], own[0], None, None, None


def _along(x: Tensor, axis: int) -> list[int]:
    """The shape that lays a vector along `axis` of `x`."""
    return [-1 if other == axis else 1 for other in range(x.ndim)]


def _masked_sum(x: Tensor, mask: Tensor, axis: int) -> Tensor:
    """Sum of each feature's cells that are no padding; axes along which the mask is one come first."""
    same = [other for other in range(x.ndim) if other != axis and mask.shape[other] == 1]
    reduced = x.sum(same, keepdim=True) if same else x
    return (reduced * mask).sum([other for other in range(x.ndim) if other != axis])


def _over_all(count: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """A count and sums [features], over all processes; together, and in float64, which holds any count."""
    if distributed.size() == 1:
        return count, total
    both = distributed.all_reduce(torch.cat([count.double()[None], total.double()]))
    return both[0].to(total.dtype), both[1:].to(total.dtype)
