"""A GRU layer over time on the CPU, in one or two directions at once, with its gradient written out.

On a CPU, torch's GRU runs many small operations per output frame, records each one for autograd, and adds up the
gradient of its weights one output frame after the other. Here an output frame takes eight operations forwards, seven if
no gradient is needed, and seven backwards (TorchScript runs addmm as two); no row is padding; the weights' gradient is
one product over all output frames. The two directions of a small layer, whose operations are too small to divide among
cores, run on a core each. The loops over time are TorchScript, because Python's lock would make the two directions wait
for each other. docs/LOG.md has the gain of each.

Cho et al. 2014, with the reset gate applied after the product as in torch.nn.GRU (* is elementwise):

    r_t = sigmoid(W_ir x_t + b_ir + W_hr h_(t-1) + b_hr)    reset gate
    z_t = sigmoid(W_iz x_t + b_iz + W_hz h_(t-1) + b_hz)    update gate
    s_t = W_hn h_(t-1) + b_hn
    n_t = tanh(W_in x_t + b_in + r_t * s_t)                 candidate gate
    h_t = (1 - z_t) * n_t + z_t * h_(t-1)                   state, which is the output; h_0 = 0

In the second direction h_(t-1) is the state after the following output frame; it is 0 at the end of each utterance.

Shapes: d directions, n rows (the output frames of all utterances, in the order of rows.py), i inputs, u units; the
gates r, z, n lie side by side in 3u.
"""

import functools
import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_SMALL_UNITS = 512
"""Largest number of units of a layer whose directions run on a core each: its recurrent weights fit a core's cache."""


def gru(layers: Sequence[nn.RNNBase], x: Tensor, active: Sequence[int]) -> list[Tensor]:
    """Return the states h [n, u] of a one-layer nn.GRU for each direction, the second of which goes back in time.

    x: [n, i], on the CPU; active: number of utterances that reach each output frame (rows.py).
    """
    weights = [layer.all_weights[0] for layer in layers]  # W_i [3u, i], W_h [3u, u], b_i [3u], b_h [3u]
    # One product for both directions.
    gates_i = nn.functional.linear(x, torch.cat([w[0] for w in weights]), torch.cat([w[2] for w in weights]))
    # The state sums hundreds of output frames: in bfloat16, with 8 bits of mantissa, small updates would be lost.
    with torch.autocast("cpu", enabled=False):
        arguments = [each.to(weights[0][1].dtype) for each in gates_i.chunk(len(layers), dim=1)]
        recurrent, biases = [w[1] for w in weights], [w[3] for w in weights]
        if torch.is_grad_enabled():
            return list(_Recurrence.apply(active, *arguments, *recurrent, *biases))  # type: ignore[no-untyped-call]
        found = _run(_all_states, recurrent[0].shape[1], arguments, recurrent, biases, list(active), False)
    return [each[0] for each in found]


class _Recurrence(torch.autograd.Function):
    """The recurrence over time, from the inputs' part of the gates to the states."""

    @staticmethod
    def forward(ctx: Any, active: Sequence[int], *arguments: Tensor) -> tuple[Tensor, ...]:
        """Return h [n, u] of each direction.

        arguments: W_i x + b_i [n, 3u] of each direction, then W_h [3u, u] of each, then b_h [3u] of each.
        """
        directions = len(arguments) // 3
        gates_i, weights, biases = (list(arguments[place * directions :][:directions]) for place in range(3))
        found = _run(_all_states, weights[0].shape[1], gates_i, weights, biases, list(active), True)
        ctx.active = active
        ctx.save_for_backward(*weights, *(tensor for each in found for tensor in each))
        return tuple(each[0] for each in found)

    @staticmethod
    def backward(ctx: Any, *dh: Tensor) -> tuple[Any, ...]:
        """Return the gradients of the arguments, for `dh` [n, u] of each direction."""
        weights, saved = list(ctx.saved_tensors[: len(dh)]), ctx.saved_tensors[len(dh) :]
        h, gates, s = (list(saved[place::3]) for place in range(3))
        before = [_before(each, ctx.active, back=index == 1) for index, each in enumerate(h)]
        found = _run(_all_gradients, weights[0].shape[1], list(dh), weights, before, gates, s, list(ctx.active))
        # dW_h in one product over all output frames: a sum frame by frame would read and write its [3u, u] each time.
        dweights = [dgates_h.T @ state for (_, dgates_h), state in zip(found, before, strict=True)]
        return None, *(dgates_i for dgates_i, _ in found), *dweights, *(dgates_h.sum(0) for _, dgates_h in found)


def _before(h: Tensor, active: Sequence[int], back: bool) -> Tensor:
    """Return h_(t-1) of each row of the states h [n, u]; with `back`, the state of the following output frame."""
    starts = [0, *itertools.accumulate(active)]
    pieces, zeros = list[Tensor](), h.new_zeros(max(active, default=0), h.shape[1])
    for frame, count in enumerate(active):
        other = frame + 1 if back else frame - 1
        there = min(count, active[other]) if 0 <= other < len(active) else 0
        pieces += [h[starts[other] : starts[other] + there]] if there else []
        pieces += [zeros[there:count]] if there < count else []
    return torch.cat(pieces) if pieces else h


def _run(loop: Callable[..., list[list[Tensor]]], units: int, *arguments: object) -> list[list[Tensor]]:
    """Return what `loop` returns for each direction; the directions of a small layer run on a core each."""
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
def _scripted(loop: Callable[..., list[list[Tensor]]]) -> Any:
    """Return `loop` as TorchScript, which runs without Python's lock."""
    with warnings.catch_warnings():  # torch recommends torch.compile, which needs a C++ compiler at run time
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.script(loop)


# TorchScript reads the functions that follow; it knows neither generators nor torch's names of axes.


def _all_states(
    gates_i: list[Tensor], weights: list[Tensor], biases: list[Tensor], active: list[int], keep: bool, parallel: bool
) -> list[list[Tensor]]:
    """Return what `_states` returns for each direction."""
    if len(gates_i) == 1:
        return [_states(gates_i[0], weights[0], biases[0], active, False, keep)]
    if parallel:
        other = torch.jit.fork(_states, gates_i[1], weights[1], biases[1], active, True, keep)  # type: ignore[no-untyped-call]
        return [_states(gates_i[0], weights[0], biases[0], active, False, keep), torch.jit.wait(other)]  # type: ignore[no-untyped-call]
    forwards = _states(gates_i[0], weights[0], biases[0], active, False, keep)
    return [forwards, _states(gates_i[1], weights[1], biases[1], active, True, keep)]


def _states(gates_i: Tensor, weight: Tensor, bias: Tensor, active: list[int], back: bool, keep: bool) -> list[Tensor]:
    """Return h [n, u] of a direction, and with `keep` the gates r, z, n [n, 3u] and s [n, u], as a gradient needs them.

    gates_i: W_i x + b_i [n, 3u]; weight: W_h [3u, u]; bias: b_h [3u]; back: from the last output frame to the first.
    """
    units, frames = weight.size(1), len(active)
    transposed = weight.t().contiguous()
    # Without `keep`, the gates of all output frames take turns in the same memory, which stays in the core's cache.
    rows = gates_i.size(0) if keep else (active[0] if frames > 0 else 0)
    gates = gates_i.new_empty([rows, 3 * units])
    h = gates_i.new_empty([gates_i.size(0), units])
    s = gates_i.new_empty([rows, units])
    before = gates_i.new_zeros([active[0] if frames > 0 and not back else 0, units])
    end = h.size(0) if back else 0
    for step in range(frames):
        count = active[frames - 1 - step if back else step]
        start = end - count if back else end
        end = start + count
        gate_i, h_t = gates_i[start:end], h[start:end]
        if before.size(0) < count:  # utterances that end here, and so begin in this direction
            before = torch.cat([before, before.new_zeros([count - before.size(0), units])])
        before = before[:count]
        gate = gates[start:end] if keep else gates[:count]
        rz, n = gate[:, : 2 * units], gate[:, 2 * units :]
        gate_h = torch.addmm(bias, before, transposed)  # W_h h + b_h
        torch.add(gate_i[:, : 2 * units], gate_h[:, : 2 * units], out=rz).sigmoid_()
        if keep:
            s[start:end].copy_(gate_h[:, 2 * units :])
        torch.addcmul(gate_i[:, 2 * units :], rz[:, :units], gate_h[:, 2 * units :], out=n)
        # h_t = n_t + z_t * (h_(t-1) - n_t), one operation instead of three
        torch.lerp(n.tanh_(), before, rz[:, units:], out=h_t)
        before = h_t
        if back:
            end = start
    return [h, gates, s] if keep else [h]


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
    if len(dh) == 1:
        return [_gradients(dh[0], weights[0], before[0], gates[0], s[0], active, False)]
    if parallel:
        other = torch.jit.fork(_gradients, dh[1], weights[1], before[1], gates[1], s[1], active, True)  # type: ignore[no-untyped-call]
        return [_gradients(dh[0], weights[0], before[0], gates[0], s[0], active, False), torch.jit.wait(other)]  # type: ignore[no-untyped-call]
    forwards = _gradients(dh[0], weights[0], before[0], gates[0], s[0], active, False)
    return [forwards, _gradients(dh[1], weights[1], before[1], gates[1], s[1], active, True)]


def _gradients(
    dh: Tensor, weight: Tensor, before: Tensor, gates: Tensor, s: Tensor, active: list[int], back: bool
) -> list[Tensor]:
    """Return the gradients [n, 3u] of W_i x + b_i and of W_h h + b_h of a direction.

    dh: the loss's gradient of h [n, u]; weight: W_h [3u, u]; before: h_(t-1) of each row [n, u]; gates and s: as
    `_states` returns them.

    A sum in front of a sigmoid or tanh is written a. With dh the whole gradient of h_t, from the loss and from
    the state that follows it:

        da_n = dh * (1 - z) * (1 - n^2)
        da_z = dh * (h_(t-1) - n) * z * (1 - z)
        da_r = da_n * s * r * (1 - r)
        ds = da_n * r
        dh_(t-1) = dh * z + W_h^T [da_r, da_z, ds]
    """
    units, frames = weight.size(1), len(active)
    r, z, n = gates[:, :units], gates[:, units : 2 * units], gates[:, 2 * units :]
    # Local derivatives of all output frames at once: da_n and da_z are multiples of dh; da_r is a multiple of da_n.
    # In place, since each is as large as h: new tensors for all products would take three times the memory.
    other = 1 - z
    n_per_h = n.square().neg_().add_(1).mul_(other)
    z_per_h = (before - n).mul_(z).mul_(other)
    r_per_n = (s * r).mul_(1 - r)
    dgates_h = torch.empty_like(gates)  # da_r, da_z, ds
    da_n = torch.empty_like(s)
    # dh_t, which the loop turns into dh_(t-1) in place
    carried = s.new_zeros([active[0] if frames > 0 else 0, units])
    end = 0 if back else s.size(0)
    for step in range(frames):
        count = active[step if back else frames - 1 - step]
        start = end if back else end - count
        end = start + count
        dh_t, dgate_h, da_n_t = carried[:count], dgates_h[start:end], da_n[start:end]
        dh_t += dh[start:end]
        torch.mul(dh_t, n_per_h[start:end], out=da_n_t)
        torch.mul(dh_t, z_per_h[start:end], out=dgate_h[:, units : 2 * units])
        torch.mul(da_n_t, r_per_n[start:end], out=dgate_h[:, :units])
        torch.mul(da_n_t, r[start:end], out=dgate_h[:, 2 * units :])
        dh_t *= z[start:end]
        dh_t.addmm_(dgate_h, weight)
        if not back:
            end = start
    return [torch.cat([dgates_h[:, : 2 * units], da_n], 1), dgates_h]
