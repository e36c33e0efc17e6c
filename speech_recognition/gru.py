"""A GRU layer over time on the CPU, in one or two directions at once, with its gradient written out.

On a CPU, torch's GRU runs many small operations per output frame, records each one for autograd, and adds up the
gradient of its weights one output frame after the other. Here an output frame takes six operations forwards and eight
backwards, shared by both directions; utterances that have ended are skipped; the weights' gradient is one product
over all output frames. A step of `mini` falls from 315 to 215 ms (docs/LOG.md).

Cho et al. 2014, with the reset gate applied after the product as in torch.nn.GRU (* is elementwise):

    r_t = sigmoid(W_ir x_t + b_ir + W_hr h_(t-1) + b_hr)    reset gate
    z_t = sigmoid(W_iz x_t + b_iz + W_hz h_(t-1) + b_hz)    update gate
    s_t = W_hn h_(t-1) + b_hn
    n_t = tanh(W_in x_t + b_in + r_t * s_t)                 candidate gate
    h_t = (1 - z_t) * n_t + z_t * h_(t-1)                   state, which is the output; h_0 = 0

Shapes: d directions, t output frames, b utterances, i inputs, u units; the gates r, z, n lie side by side in 3u.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn


def gru(layers: Sequence[nn.RNNBase], inputs: Sequence[Tensor], active: Sequence[int]) -> Tensor:
    """Return the states h [d, t, b, u] of a one-layer nn.GRU for each direction; zero after an utterance's end.

    inputs: x [t, b, i] for each direction, in the order in which that direction reads it, with the utterances
    sorted by length, longest first; active: number of utterances that reach each of the t output frames.
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
        """Return h [d, t, b, u] for W_i x + b_i [d, t, b, 3u], W_h [d, 3u, u] and b_h [d, 3u]."""
        directions, length, batch, _ = gates_i.shape
        units = weights_h.shape[2]
        transposed, biases_h = weights_h.transpose(1, 2).contiguous(), biases_h[:, None]
        # Zero, not empty: after an utterance's end nothing is written, and zeros add nothing to the weights' gradient.
        gates = torch.zeros_like(gates_i)  # r, z, n
        s = gates_i.new_zeros(directions, length, batch, units)
        h = gates_i.new_zeros(directions, length + 1, batch, units)  # h[:, t] is the state before output frame t
        for t, count in enumerate(active):
            before, gate_i = h[:, t, :count], gates_i[:, t, :count]
            rz, n = gates[:, t, :count, : 2 * units], gates[:, t, :count, 2 * units :]
            gate_h = torch.baddbmm(biases_h, before, transposed)  # W_h h + b_h
            torch.add(gate_i[..., : 2 * units], gate_h[..., : 2 * units], out=rz).sigmoid_()
            s[:, t, :count] = gate_h[..., 2 * units :]
            torch.addcmul(gate_i[..., 2 * units :], rz[..., :units], gate_h[..., 2 * units :], out=n)
            # h_t = n_t + z_t * (h_(t-1) - n_t), one operation instead of three
            torch.lerp(n.tanh_(), before, rz[..., units:], out=h[:, t + 1, :count])
        ctx.active = active
        ctx.save_for_backward(weights_h, gates, s, h)
        return h[:, 1:]

    @staticmethod
    def backward(ctx: Any, dh: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the gradients of W_i x + b_i, W_h and b_h for `dh` [d, t, b, u].

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
        r, z, n = gates.split(units, dim=3)
        # Local derivatives of all output frames at once: da_n and da_z are multiples of dh; da_r is a
        # multiple of da_n.
        n_per_h = (1 - z) * (1 - n.square())
        z_per_h = (h[:, :-1] - n) * z * (1 - z)
        r_per_n = s * r * (1 - r)
        dgates_h = torch.zeros_like(gates)  # da_r, da_z, ds
        da_n = torch.zeros_like(s)
        carried = torch.zeros_like(s[:, 0])  # dh_t, which the loop turns into dh_(t-1) in place
        for t in range(len(ctx.active) - 1, -1, -1):
            count = ctx.active[t]
            dh_t, dgate_h = carried[:, :count], dgates_h[:, t, :count]
            dh_t += dh[:, t, :count]
            torch.mul(dh_t, n_per_h[:, t, :count], out=da_n[:, t, :count])
            torch.mul(dh_t, z_per_h[:, t, :count], out=dgate_h[..., units : 2 * units])
            torch.mul(da_n[:, t, :count], r_per_n[:, t, :count], out=dgate_h[..., :units])
            torch.mul(da_n[:, t, :count], r[:, t, :count], out=dgate_h[..., 2 * units :])
            dh_t *= z[:, t, :count]
            dh_t += dgate_h @ weights_h
        # dW_h in one product over all output frames: a sum frame by frame would read and write its [3u, u] each time.
        flat = dgates_h.flatten(1, 2)  # [d, t * b, 3u]
        dweights_h = flat.transpose(1, 2) @ h[:, :-1].flatten(1, 2)  # [d, 3u, u]
        return torch.cat([dgates_h[..., : 2 * units], da_n], dim=3), dweights_h, flat.sum(1), None
