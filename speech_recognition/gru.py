"""A GRU layer over time on the CPU, in one direction or two at once, with its gradient written out.

torch's own GRU is there a path of many small operations, each recorded for the way back, and it takes the
gradient of its weights frame by frame. Here a frame costs six operations forwards and eight back, both
directions share them, utterances that have ended take no part, and the weights' gradient is one product
over all frames. The formulas are those of torch.nn.GRU (Cho et al. 2014, reset after the product).

Shapes: d directions, t frames, b utterances, u units; the gates r, z, n lie side by side in 3u.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def gru(layers: Sequence[nn.RNNBase], inputs: Sequence[Tensor], active: Sequence[int]) -> Tensor:
    """Outputs [d, t, b, u] of a one-layer nn.GRU for each direction; zero where an utterance has ended.

    inputs: [t, b, i], for each direction in the order that it goes; active: for each frame, how many
    utterances have it; these come first in the batch.
    """
    weights = [layer.all_weights[0] for layer in layers]  # of inputs and state, then the biases of both
    gates = torch.stack([nn.functional.linear(x, w[0], w[2]) for x, w in zip(inputs, weights, strict=True)])
    recurrent, biases = torch.stack([w[1] for w in weights]), torch.stack([w[3] for w in weights])
    with torch.autocast("cpu", enabled=False):  # the state sums up hundreds of frames
        outputs: Tensor = _Recurrence.apply(gates.to(recurrent.dtype), recurrent, biases, active)  # type: ignore[no-untyped-call]
    return outputs


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weights: Tensor, biases: Tensor, active: Sequence[int]) -> Tensor:
        """Run over time; inputs: [d, t, b, 3u]; weights: [d, 3u, u]; biases: [d, 3u]."""
        directions, frames, batch, _ = inputs.shape
        units = weights.shape[2]
        transposed, biases = weights.transpose(1, 2).contiguous(), biases[:, None]
        gates = torch.zeros_like(inputs)
        recurrent = inputs.new_zeros(directions, frames, batch, units)
        outputs = inputs.new_zeros(directions, frames + 1, batch, units)
        for t, n in enumerate(active):
            state, new, gate = outputs[:, t, :n], inputs[:, t, :n], gates[:, t, :n]
            products = torch.baddbmm(biases, state, transposed)
            sigmoids, candidate = gate[..., : 2 * units], gate[..., 2 * units :]
            torch.add(new[..., : 2 * units], products[..., : 2 * units], out=sigmoids).sigmoid_()
            recurrent[:, t, :n] = products[..., 2 * units :]
            torch.addcmul(new[..., 2 * units :], sigmoids[..., :units], products[..., 2 * units :], out=candidate)
            torch.lerp(candidate.tanh_(), state, sigmoids[..., units:], out=outputs[:, t + 1, :n])
        ctx.active = active
        ctx.save_for_backward(weights, gates, recurrent, outputs)
        return outputs[:, 1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Run back over time for the gates' gradient, then take all frames at once for that of the weights."""
        weights, gates, recurrent, outputs = ctx.saved_tensors
        units = weights.shape[2]
        reset, update, candidate = gates.split(units, dim=3)
        # What each gradient is a multiple of: that of n and z of the state's, that of r of n's.
        of_candidate = (1 - update) * (1 - candidate.square())
        of_update = (outputs[:, :-1] - candidate) * update * (1 - update)
        of_reset = recurrent * reset * (1 - reset)
        products = torch.zeros_like(gates)  # the gradient of the recurrent products
        inner = torch.zeros_like(recurrent)  # that of n's sum
        state = torch.zeros_like(recurrent[:, 0])
        for t in range(len(ctx.active) - 1, -1, -1):
            n = ctx.active[t]
            row, part = state[:, :n], products[:, t, :n]
            row += gradient[:, t, :n]
            torch.mul(row, of_candidate[:, t, :n], out=inner[:, t, :n])
            torch.mul(row, of_update[:, t, :n], out=part[..., units : 2 * units])
            torch.mul(inner[:, t, :n], of_reset[:, t, :n], out=part[..., :units])
            torch.mul(inner[:, t, :n], reset[:, t, :n], out=part[..., 2 * units :])
            row *= update[:, t, :n]
            row += part @ weights
        flat = products.flatten(1, 2)
        of_weights = flat.transpose(1, 2) @ outputs[:, :-1].flatten(1, 2)
        return torch.cat([products[..., : 2 * units], inner], dim=3), of_weights, flat.sum(1), None
