"""A GRU layer over time on the CPU, in one or two directions at once, with its gradient written out.

On a CPU, torch's GRU runs many small operations per output frame, records each one for autograd, and adds up the
gradient of its weights one output frame after the other. Here an output frame takes six operations forwards and eight
backwards, shared by both directions; no row is padding; the weights' gradient is one product
over all output frames. A step of `mini` falls from 315 to 215 ms (docs/LOG.md).

Cho et al. 2014, with the reset gate applied after the product as in torch.nn.GRU (* is elementwise):

    r_t = sigmoid(W_ir x_t + b_ir + W_hr h_(t-1) + b_hr)    reset gate
    z_t = sigmoid(W_iz x_t + b_iz + W_hz h_(t-1) + b_hz)    update gate
    s_t = W_hn h_(t-1) + b_hn
    n_t = tanh(W_in x_t + b_in + r_t * s_t)                 candidate gate
    h_t = (1 - z_t) * n_t + z_t * h_(t-1)                   state, which is the output; h_0 = 0

Shapes: d directions, n rows (the output frames of all utterances, in the order of rows.py), i inputs, u units; the
gates r, z, n lie side by side in 3u.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def gru(layers: Sequence[nn.RNNBase], inputs: Sequence[Tensor], active: Sequence[int]) -> Tensor:
    """Return the states h [d, n, u] of a one-layer nn.GRU for each direction.

    inputs: x [n, i] for each direction, in the order in which that direction reads it (rows.py); active: number of
    utterances that reach each output frame.
    """
    weights = [layer.all_weights[0] for layer in layers]  # W_i [3u, i], W_h [3u, u], b_i [3u], b_h [3u]
    gates_i = torch.stack([nn.functional.linear(x, w[0], w[2]) for x, w in zip(inputs, weights, strict=True)])
    weights_h, biases_h = torch.stack([w[1] for w in weights]), torch.stack([w[3] for w in weights])
    # The state sums hundreds of output frames: in bfloat16, with 8 bits of mantissa, small updates would be lost.
    with torch.autocast("cpu", enabled=False):
        h: Tensor = _Recurrence.apply(gates_i.to(weights_h.dtype), weights_h, biases_h, active)  # type: ignore[no-untyped-call]
    return h


class _Recurrence(torch.autograd.Function):
    """The recurrence over time, from the inputs' part of the gates to the states."""

    @staticmethod
    def forward(ctx: Any, gates_i: Tensor, weights_h: Tensor, biases_h: Tensor, active: Sequence[int]) -> Tensor:
        """Return h [d, n, u] for W_i x + b_i [d, n, 3u], W_h [d, 3u, u] and b_h [d, 3u]."""
        directions, rows, _ = gates_i.shape
        units = weights_h.shape[2]
        transposed, biases_h = weights_h.transpose(1, 2).contiguous(), biases_h[:, None]
        gates = torch.empty_like(gates_i)  # r, z, n
        s = gates_i.new_empty(directions, rows, units)
        h = torch.empty_like(s)
        before, start = gates_i.new_zeros(directions, max(active, default=0), units), 0
        for count in active:
            end = start + count
            before, gate_i, h_t = before[:, :count], gates_i[:, start:end], h[:, start:end]
            rz, n = gates[:, start:end, : 2 * units], gates[:, start:end, 2 * units :]
            gate_h = torch.baddbmm(biases_h, before, transposed)  # W_h h + b_h
            torch.add(gate_i[..., : 2 * units], gate_h[..., : 2 * units], out=rz).sigmoid_()
            s[:, start:end] = gate_h[..., 2 * units :]
            torch.addcmul(gate_i[..., 2 * units :], rz[..., :units], gate_h[..., 2 * units :], out=n)
            # h_t = n_t + z_t * (h_(t-1) - n_t), one operation instead of three
            torch.lerp(n.tanh_(), before, rz[..., units:], out=h_t)
            before, start = h_t, end
        ctx.active = active
        ctx.save_for_backward(weights_h, gates, s, h)
        return h

    @staticmethod
    def backward(ctx: Any, dh: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients of W_i x + b_i, W_h and b_h for `dh` [d, n, u].

        A sum in front of a sigmoid or tanh is written a. With dh the whole gradient of h_t, from the loss and from
        output frame t + 1:

            da_n = dh * (1 - z) * (1 - n^2)
            da_z = dh * (h_(t-1) - n) * z * (1 - z)
            da_r = da_n * s * r * (1 - r)
            ds = da_n * r
            dh_(t-1) = dh * z + W_h^T [da_r, da_z, ds]
        """
        weights_h, gates, s, h = ctx.saved_tensors
        units = weights_h.shape[2]
        before = _before(h, ctx.active)
        r, z, n = gates.split(units, dim=2)
        # Local derivatives of all output frames at once: da_n and da_z are multiples of dh; da_r is a
        # multiple of da_n.
        n_per_h = (1 - z) * (1 - n.square())
        z_per_h = (before - n) * z * (1 - z)
        r_per_n = s * r * (1 - r)
        dgates_h = torch.empty_like(gates)  # da_r, da_z, ds
        da_n = torch.empty_like(s)
        # dh_t, which the loop turns into dh_(t-1) in place
        carried, end = s.new_zeros(len(s), max(ctx.active, default=0), units), s.shape[1]
        for count in reversed(ctx.active):
            start = end - count
            dh_t, dgate_h, da_n_t = carried[:, :count], dgates_h[:, start:end], da_n[:, start:end]
            dh_t += dh[:, start:end]
            torch.mul(dh_t, n_per_h[:, start:end], out=da_n_t)
            torch.mul(dh_t, z_per_h[:, start:end], out=dgate_h[..., units : 2 * units])
            torch.mul(da_n_t, r_per_n[:, start:end], out=dgate_h[..., :units])
            torch.mul(da_n_t, r[:, start:end], out=dgate_h[..., 2 * units :])
            dh_t *= z[:, start:end]
            dh_t += dgate_h @ weights_h
            end = start
        # dW_h in one product over all output frames: a sum frame by frame would read and write its [3u, u] each time.
        dweights_h = dgates_h.transpose(1, 2) @ before  # [d, 3u, u]
        return torch.cat([dgates_h[..., : 2 * units], da_n], dim=2), dweights_h, dgates_h.sum(1), None


def _before(h: Tensor, active: Sequence[int]) -> Tensor:
    """Return the state before each row of the states h [d, n, u]; zero before the first output frame."""
    before, start = [h.new_zeros(len(h), max(active, default=0), h.shape[2])], 0
    for count, following in itertools.pairwise(active):
        before.append(h[:, start : start + following])
        start += count
    return torch.cat(before, dim=1)
