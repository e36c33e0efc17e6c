"""A GRU layer over time on the CPU, in one or two directions at once, with its gradient written out.

On a CPU, torch's GRU runs many small operations per output frame, records each one for autograd, and adds up the
gradient of its weights one output frame after the other. Here an output frame takes six operations forwards and eight
backwards; no row is padding; the weights' gradient is one product over all output frames. The two directions of a
small layer run on a core each, as their operations are too small to be divided: Python's lock would make them wait
for each other, so the loops over time are TorchScript. docs/LOG.md has what each of these gave.

Cho et al. 2014, with the reset gate applied after the product as in torch.nn.GRU (* is elementwise):

    r_t = sigmoid(W_ir x_t + b_ir + W_hr h_(t-1) + b_hr)    reset gate
    z_t = sigmoid(W_iz x_t + b_iz + W_hz h_(t-1) + b_hz)    update gate
    s_t = W_hn h_(t-1) + b_hn
    n_t = tanh(W_in x_t + b_in + r_t * s_t)                 candidate gate
    h_t = (1 - z_t) * n_t + z_t * h_(t-1)                   state, which is the output; h_0 = 0

Shapes: n rows (the output frames of all utterances, in the order of rows.py), i inputs, u units; the gates r, z, n lie
side by side in 3u.
"""

import functools
import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_SMALL_UNITS = 512
"""Most units of a layer whose directions run on a core each: its recurrent weights then fit into a core's cache."""

Loop = Callable[..., list[list[Tensor]]]
"""`_states` or `_gradients` for every direction."""


def gru(layers: Sequence[nn.RNNBase], inputs: Sequence[Tensor], active: Sequence[int]) -> list[Tensor]:
    """Return the states h [n, u] of a one-layer nn.GRU for each direction.

    inputs: x [n, i] for each direction, in the order in which that direction reads it (rows.py); active: number of
    utterances that reach each output frame.
    """
    weights = [layer.all_weights[0] for layer in layers]  # W_i [3u, i], W_h [3u, u], b_i [3u], b_h [3u]
    gates_i = [nn.functional.linear(x, w[0], w[2]) for x, w in zip(inputs, weights, strict=True)]
    # The state sums hundreds of output frames: in bfloat16, with 8 bits of mantissa, small updates would be lost.
    with torch.autocast("cpu", enabled=False):
        arguments = [(x.to(w[1].dtype), w[1], w[3]) for x, w in zip(gates_i, weights, strict=True)]
        states = _Recurrence.apply(active, *itertools.chain(*arguments))  # type: ignore[no-untyped-call]
    return list(states)


class _Recurrence(torch.autograd.Function):
    """The recurrence over time, from the inputs' part of the gates to the states."""

    @staticmethod
    def forward(ctx: Any, active: Sequence[int], *arguments: Tensor) -> tuple[Tensor, ...]:
        """Return h [n, u] for each direction, of its W_i x + b_i [n, 3u], W_h [3u, u] and b_h [3u]."""
        gates_i, weights_h, biases_h = (list(arguments[place::3]) for place in range(3))
        found = _run(_all_states, weights_h[0].shape[1], gates_i, weights_h, biases_h, list(active))
        ctx.active = active
        ctx.save_for_backward(*weights_h, *(tensor for each in found for tensor in each))
        return tuple(each[0] for each in found)

    @staticmethod
    def backward(ctx: Any, *dh: Tensor) -> tuple[Any, ...]:
        """Return the gradients of W_i x + b_i, W_h and b_h of each direction, for its `dh` [n, u]."""
        directions = len(dh)
        weights_h, saved = list(ctx.saved_tensors[:directions]), ctx.saved_tensors[directions:]
        h, gates, s = (list(saved[place::3]) for place in range(3))
        before = [_before(each, ctx.active) for each in h]
        arguments = ([each.contiguous() for each in dh], weights_h, before, gates, s, list(ctx.active))
        found = _run(_all_gradients, weights_h[0].shape[1], *arguments)
        gradients: list[Tensor | None] = [None]
        for (dgates_i, dgates_h), state in zip(found, before, strict=True):
            # In one product over all output frames: a sum frame by frame would read and write its [3u, u] each time.
            gradients += [dgates_i, dgates_h.T @ state, dgates_h.sum(0)]
        return tuple(gradients)


def _before(h: Tensor, active: Sequence[int]) -> Tensor:
    """Return the state before each row of the states h [n, u]; zero before the first output frame."""
    before, start = [h.new_zeros(max(active, default=0), h.shape[1])], 0
    for count, following in itertools.pairwise(active):
        before.append(h[start : start + following])
        start += count
    return torch.cat(before)


def _run(loop: Loop, units: int, *arguments: object) -> list[list[Tensor]]:
    """Return what a loop over time gives for every direction, with a core for each where that is faster."""
    threads = torch.get_num_threads()
    parallel = threads > 1 and units <= _SMALL_UNITS
    if parallel:
        torch.set_num_threads(1)  # for each direction
    try:
        return _scripted(loop)(*arguments, parallel)  # type: ignore[no-any-return]
    finally:
        if parallel:
            torch.set_num_threads(threads)


@functools.cache
def _scripted(loop: Loop) -> Any:
    """Return `loop` as TorchScript, which runs without Python's lock."""
    with warnings.catch_warnings():  # torch recommends torch.compile, which needs a C++ compiler at run time
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(loop)


# TorchScript reads what follows: types of typing, no keyword arguments, no star.


def _all_states(
    gates_i: list[Tensor], weights: list[Tensor], biases: list[Tensor], active: list[int], parallel: bool
) -> list[list[Tensor]]:
    """Return what `_states` returns for each direction."""
    if parallel and len(gates_i) == 2:
        other = torch.jit.fork(_states, gates_i[1], weights[1], biases[1], active)
        return [_states(gates_i[0], weights[0], biases[0], active), torch.jit.wait(other)]
    return [_states(gates_i[index], weights[index], biases[index], active) for index in range(len(gates_i))]


def _states(gates_i: Tensor, weight: Tensor, bias: Tensor, active: list[int]) -> list[Tensor]:
    """Return h [n, u], the gates r, z, n [n, 3u] and s [n, u] of a direction.

    gates_i: W_i x + b_i [n, 3u]; weight: W_h [3u, u]; bias: b_h [3u].
    """
    units = weight.size(1)
    transposed = weight.t().contiguous()
    gates = torch.empty_like(gates_i)
    h = gates_i.new_empty([gates_i.size(0), units])
    s = torch.empty_like(h)
    before, start = gates_i.new_zeros([active[0] if len(active) > 0 else 0, units]), 0
    for count in active:
        end = start + count
        before, gate_i, h_t = before[:count], gates_i[start:end], h[start:end]
        rz, n = gates[start:end, : 2 * units], gates[start:end, 2 * units :]
        gate_h = torch.addmm(bias, before, transposed)  # W_h h + b_h
        torch.add(gate_i[:, : 2 * units], gate_h[:, : 2 * units], out=rz).sigmoid_()
        s[start:end].copy_(gate_h[:, 2 * units :])
        torch.addcmul(gate_i[:, 2 * units :], rz[:, :units], gate_h[:, 2 * units :], out=n)
        # h_t = n_t + z_t * (h_(t-1) - n_t), one operation instead of three
        torch.lerp(n.tanh_(), before, rz[:, units:], out=h_t)
        before, start = h_t, end
    return [h, gates, s]


def _all_gradients(
    dh: list[Tensor],
    weights: list[Tensor],
    before: list[Tensor],
    gates: list[Tensor],
    s: list[Tensor],
    active: list[int],
    parallel: bool,
) -> list[list[Tensor]]:
    """Return what `_gradients` returns for each direction."""
    if parallel and len(dh) == 2:
        other = torch.jit.fork(_gradients, dh[1], weights[1], before[1], gates[1], s[1], active)
        return [_gradients(dh[0], weights[0], before[0], gates[0], s[0], active), torch.jit.wait(other)]
    return [
        _gradients(dh[index], weights[index], before[index], gates[index], s[index], active) for index in range(len(dh))
    ]


def _gradients(
    dh: Tensor, weight: Tensor, before: Tensor, gates: Tensor, s: Tensor, active: list[int]
) -> list[Tensor]:
    """Return the gradients [n, 3u] of W_i x + b_i and of W_h h + b_h of a direction.

    dh: the loss's gradient of h [n, u]; weight: W_h [3u, u]; before: h_(t-1) of each row [n, u].

    A sum in front of a sigmoid or tanh is written a. With dh the whole gradient of h_t, from the loss and from
    output frame t + 1:

        da_n = dh * (1 - z) * (1 - n^2)
        da_z = dh * (h_(t-1) - n) * z * (1 - z)
        da_r = da_n * s * r * (1 - r)
        ds = da_n * r
        dh_(t-1) = dh * z + W_h^T [da_r, da_z, ds]
    """
    units = weight.size(1)
    r, z, n = gates[:, :units], gates[:, units : 2 * units], gates[:, 2 * units :]
    # Local derivatives of all output frames at once: da_n and da_z are multiples of dh; da_r is a multiple of da_n.
    n_per_h = (1 - z) * (1 - n.square())
    z_per_h = (before - n) * z * (1 - z)
    r_per_n = s * r * (1 - r)
    dgates_h = torch.empty_like(gates)  # da_r, da_z, ds
    da_n = torch.empty_like(s)
    # dh_t, which the loop turns into dh_(t-1) in place
    carried, end = s.new_zeros([active[0] if len(active) > 0 else 0, units]), s.size(0)
    for frame in range(len(active) - 1, -1, -1):
        start = end - active[frame]
        dh_t, dgate_h, da_n_t = carried[: active[frame]], dgates_h[start:end], da_n[start:end]
        dh_t += dh[start:end]
        torch.mul(dh_t, n_per_h[start:end], out=da_n_t)
        torch.mul(dh_t, z_per_h[start:end], out=dgate_h[:, units : 2 * units])
        torch.mul(da_n_t, r_per_n[start:end], out=dgate_h[:, :units])
        torch.mul(da_n_t, r[start:end], out=dgate_h[:, 2 * units :])
        dh_t *= z[start:end]
        dh_t.addmm_(dgate_h, weight)
        end = start
    return [torch.cat([dgates_h[:, : 2 * units], da_n], 1), dgates_h]
