"""LAMB, an optimizer for batches of 1,024 utterances and more.

You et al. 2020, "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", algorithm 2. For a tensor w
of weights with the gradient g, in step t:

    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g^2
    r = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon) + decay * w
    w = w - rate * |w| / |r| * r

r is AdamW's step, without its rate. The trust ratio |w| / |r|, of Euclidean norms over the whole tensor, makes a step
change every tensor by the same share of its size, `rate`: no tensor takes steps that are too large for it when a large
batch asks for a high rate.

The ratio is 1 where a norm is 0, and for biases and BatchNorm's scales and shifts, as in the authors' code for BERT: a
shift begins at 0, and steps in proportion to its size would keep it there. MLPerf's RNN-T used a variant, apex's
FusedLAMB, that takes the ratio of every tensor; like `training_step`, it clips the norm of the whole gradient first.
"""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Lamb(Optimizer):
    """LAMB over weights that all have a gradient in every step. Weight decay is on all of them, as AdamW's is here."""

    def __init__(
        self, weights: Iterable[nn.Parameter], lr: float, betas: tuple[float, float], eps: float, weight_decay: float
    ) -> None:
        """Make the optimizer; `lr`, `betas`, `eps` and `weight_decay` are torch's names, as in its AdamW."""
        super().__init__(weights, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "step": 0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the weights once."""
        for group in self.param_groups:
            group["step"] += 1
            weights = group["params"]
            r = self._adam(weights, group)
            torch._foreach_add_(r, weights, alpha=group["weight_decay"])
            _scale_by_trust_ratios(weights, r)
            torch._foreach_add_(weights, r, alpha=-group["lr"])

    def _adam(self, weights: list[Tensor], group: dict[str, Any]) -> list[Tensor]:
        """Return Adam's step for each tensor, without rate and decay, and update m and v."""
        gradients = [cast(Tensor, weight.grad) for weight in weights]
        states = [self._state(weight) for weight in weights]
        m, v = [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states]
        (beta1, beta2), t = group["betas"], group["step"]
        # Each operation on all tensors at once, which a GPU runs as a few kernels.
        torch._foreach_lerp_(m, gradients, 1 - beta1)
        torch._foreach_mul_(v, beta2)
        torch._foreach_addcmul_(v, gradients, gradients, 1 - beta2)
        roots = torch._foreach_sqrt(v)
        torch._foreach_div_(roots, (1 - beta2**t) ** 0.5)
        torch._foreach_add_(roots, group["eps"])
        r = torch._foreach_div(m, 1 - beta1**t)
        torch._foreach_div_(r, roots)
        return list(r)

    def _state(self, weight: Tensor) -> dict[str, Any]:
        """Return m and v of a tensor by torch's names, zero before the first step."""
        state: dict[str, Any] = self.state[weight]
        if not state:
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        return state


def _scale_by_trust_ratios(weights: list[Tensor], r: list[Tensor]) -> None:
    """Multiply each tensor of `r` by |w| / |r|, except those of biases, scales and shifts, which have one axis."""
    weights, r = ([each for each in tensors if each.ndim > 1] for tensors in (weights, r))
    if not r:
        return
    sizes, steps = (torch.stack(torch._foreach_norm(tensors)) for tensors in (weights, r))
    # The norms stay on the device: reading them would stop a GPU once a step.
    ratios = torch.where((sizes > 0) & (steps > 0), sizes / steps, 1.0)
    torch._foreach_mul_(r, ratios.unbind())
