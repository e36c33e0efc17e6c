"""BatchNorm whose statistics leave the padding out and are those of the whole batch, over all processes.

torch's SyncBatchNorm needs GPUs and has no mask. Ioffe and Szegedy 2015, algorithm 1, over the m cells of one feature
that are not padding, in all processes:

    mu_B = sum(x) / m
    sigma2_B = sum((x - mu_B)^2) / m
    x_hat = (x - mu_B) / sqrt(sigma2_B + epsilon)
    y = gamma * x_hat + beta

and its gradient (their section 3, with the terms collected):

    dbeta = sum(dy)
    dgamma = sum(dy * x_hat)
    dx = gamma / sqrt(sigma2_B + epsilon) * (dy - dbeta / m - x_hat * dgamma / m)

Shapes: x and y have f features along one axis, such as [b, f, h, t] or [t, b, f]; statistics, gamma and beta are [f].
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from speech_recognition.runtime import distributed


class MaskedBatchNorm(nn.Module):
    """BatchNorm that ignores padding and outputs zero there; clips to [0, limit] if a limit is set.

    As in torch, evaluation uses running averages of mu_B and of the unbiased variance, sigma2_B * m / (m - 1).
    """

    running_mean: Tensor
    """[f], running average of mu_B"""
    running_var: Tensor
    """[f], running average of the unbiased variance"""

    def __init__(self, features: int, axis: int, momentum: float, limit: float | None = None) -> None:
        """Make a layer for inputs with `features` along `axis`; momentum: weight of a batch in the running averages."""
        super().__init__()
        self.axis, self.momentum, self.limit, self.epsilon = axis, momentum, limit, 1e-5  # epsilon: torch's default
        self.weight = nn.Parameter(torch.ones(features))  # gamma
        self.bias = nn.Parameter(torch.zeros(features))  # beta
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return y, of x's shape and dtype, computed in the dtype of the weights.

        mask: false on padding, with the axes of x and size 1 along `axis`. In training, all processes have to call
        this together: they exchange m and two sums.
        """
        mask = mask.to(self.weight.dtype)
        if not self.training:
            return self._by_running_statistics(x.to(self.weight.dtype), mask).to(x.dtype)
        arguments = (x, mask, self.weight, self.bias, self.axis, self.epsilon, self.limit)
        y: Tensor
        y, mu, sigma2, m = _Normalize.apply(*arguments)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.running_mean.lerp_(mu, self.momentum)
            # With a single cell, m - 1 is 0; its variance is 0 in any case.
            self.running_var.lerp_(sigma2 * m / (m - 1).clamp(min=1), self.momentum)
        return y

    def _by_running_statistics(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return y from the running averages, by one multiplication and one addition for each cell."""
        shape = _along(x, self.axis)
        scale = self.weight / (self.running_var + self.epsilon).sqrt()
        y = torch.addcmul((self.bias - self.running_mean * scale).view(shape), x, scale.view(shape))
        return (y if self.limit is None else F.hardtanh(y, 0, self.limit)) * mask


class _Normalize(torch.autograd.Function):
    """Normalisation by the batch's own statistics, then scale, shift and clipping, with the gradient written out.

    Left to autograd, each masking is one pass over memory forwards and one backwards, and these layers are bound by
    memory. Here the mask is folded into per-feature vectors: five passes forwards and six backwards.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, mask: Tensor, gamma: Tensor, beta: Tensor, axis: int, epsilon: float, limit: float | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return y of x's shape, mu_B [f], the biased sigma2_B [f], and m []."""
        others, shape, given = [other for other in range(x.ndim) if other != axis], _along(x, axis), x
        # Under autocast x is bfloat16, whose 8 bits of mantissa are too few for sums over 100,000 cells.
        x = x.to(gamma.dtype)
        m = mask.sum() * (x.numel() // (mask.numel() * x.shape[axis]))  # the mask is broadcast along some axes
        m, total = _over_all(m, _masked_sum(x, mask, axis))
        mu = total / m
        centred = _centred(x, mu, mask, axis)
        # From centred cells: mean(x^2) - mu_B^2 would lose digits where mu_B is large. The norm squares and sums in one
        # pass, without a tensor of squares.
        sigma2 = distributed.all_reduce(torch.linalg.vector_norm(centred, dim=others).square()) / m
        deviation = (sigma2 + epsilon).sqrt()
        y = torch.addcmul(beta.view(shape) * mask, centred, (gamma / deviation).view(shape))
        if limit is not None:
            y.clamp_(0, limit)
        y = y.to(given.dtype)
        ctx.axis, ctx.limit = axis, limit
        # Of a bfloat16 x, x itself: half the memory of what is computed from it, for one more pass backwards.
        kept = centred if given.dtype == gamma.dtype else given
        ctx.save_for_backward(kept, mask, gamma, mu, deviation, m, y if limit is not None else None)
        ctx.mark_non_differentiable(mu, sigma2, m)
        return y, mu, sigma2, m

    @staticmethod
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        """Return dx of x's shape, then this process's own share of dgamma [f] and dbeta [f].

        dx takes dgamma and dbeta from all processes; the step adds up the shares with all other gradients.
        """
        kept, mask, gamma, mu, deviation, m, y = ctx.saved_tensors
        others, shape = [other for other in range(kept.ndim) if other != ctx.axis], _along(kept, ctx.axis)
        centred = kept if kept.dtype == gamma.dtype else _centred(kept.to(gamma.dtype), mu, mask, ctx.axis)
        dy = dy.to(gamma.dtype)
        # Clipped cells have no gradient. Padding has none either: y is 0 there, so the clipping masks it too.
        limit = ctx.limit
        dy = dy * mask if limit is None else torch.ops.aten.hardtanh_backward(dy, y.to(dy.dtype), 0, limit)
        own = torch.stack([dy.sum(others), (dy * centred).sum(others) / deviation])  # dbeta, dgamma
        # A copy: all_reduce works in place, and this process's own share is returned.
        dbeta_per_m, dgamma_per_m = distributed.all_reduce(own.clone()) / m
        scale = gamma / deviation
        dx = torch.addcmul((-dbeta_per_m * scale).view(shape) * mask, dy, scale.view(shape))
        dx.addcmul_(centred, (-dgamma_per_m * scale / deviation).view(shape))
        return dx.to(kept.dtype), None, own[1], own[0], None, None, None


def _centred(x: Tensor, mu: Tensor, mask: Tensor, axis: int) -> Tensor:
    """Return x - mu_B, zero on padding."""
    return torch.addcmul(-mu.view(_along(x, axis)) * mask, x, mask)


def _along(x: Tensor, axis: int) -> list[int]:
    """Return the shape that broadcasts a vector along `axis` of `x`."""
    return [-1 if other == axis else 1 for other in range(x.ndim)]


def _masked_sum(x: Tensor, mask: Tensor, axis: int) -> Tensor:
    """Return the sum [f] of each feature's cells that are not padding.

    Axes where the mask has size 1 are summed before masking, which is cheaper.
    """
    same = [other for other in range(x.ndim) if other != axis and mask.shape[other] == 1]
    reduced = x.sum(same, keepdim=True) if same else x
    return (reduced * mask).sum([other for other in range(x.ndim) if other != axis])


def _over_all(m: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """Return `m` [] and `total` [f], each summed over all processes in one message.

    The message is float64: float32 counts exactly only up to 2^24 = 16.8 million, and a batch of 1,024 utterances has
    twice as many cells of a feature behind the first convolution.
    """
    if distributed.size() == 1:
        return m, total
    both = distributed.all_reduce(torch.cat([m.double()[None], total.double()]))
    return both[0].to(total.dtype), both[1:].to(total.dtype)
