"""GRU layers for inference on a CPU: weights packed once, products in float32, bfloat16 or 8-bit integers.

At batch 1 a GRU is as fast as its recurrent weights arrive from memory, once for each output frame: the reference
has 59 million. In float32 that is 236 MB for each frame, in bfloat16 half, in int8 a quarter, of which one layer
(19.7 MB) stays in a processor's cache.

An 8-bit product needs the range of its inputs. A scale measured on the whole batch, as torch's dynamic quantisation
does, would make an utterance depend on the others. Here the state, which lies between -1 and 1, has the fixed scale
2 / 255, and each output frame of a layer's input is divided by its own largest value.

Shapes: t output frames, b utterances, i inputs, u units; the gates r, z, n lie side by side in 3u (gru.py).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from speech_recognition.model import DeepSpeech2

Precision = Literal["fp32", "bf16", "int8"]
"""fp32: products in float32; bf16: products in bfloat16; int8: products of GRU layers in 8-bit integers (CPU only)."""

Product = Callable[[Tensor], Tensor]
"""Product of a weight [o, i] with inputs [n, i], and a bias added: [n, o]."""


class Int8Weight(NamedTuple):
    """A weight in 8 bits, each of its rows on a scale of its own."""

    values: Tensor
    """[o, i], int8, from -127 to 127"""
    scales: Tensor
    """[o], float32, what a step of a row's values stands for"""


def quantize(weight: Tensor) -> Int8Weight:
    """Return `weight` [o, i] rounded to 8 bits."""
    scales = (weight.abs().amax(1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    return Int8Weight((weight / scales[:, None]).round().to(torch.int8), scales)


class PackedGRU(nn.Module):
    """One direction of a GRU layer, called and returning as torch.nn.GRU; it computes no gradient."""

    def __init__(self, inputs: Product, state: Product) -> None:
        """Make a layer of its two products, W_i x + b_i and W_h h + b_h."""
        super().__init__()
        self._inputs, self._state = inputs, state

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the states h [t, b, u] for inputs x [t, b, i], and the last one [1, b, u].

        state: [1, b, u], the state before the first output frame; zero if it is left out.
        """
        gates = self._inputs(x.flatten(0, 1)).view(*x.shape[:2], -1)  # [t, b, 3u]
        units = gates.shape[2] // 3
        states = gates.new_empty(*gates.shape[:2], units, dtype=torch.float32)
        h = states.new_zeros(gates.shape[1], units) if state is None else state[0]
        for gate_i, out in zip(gates, states, strict=True):
            gate_h = self._state(h)
            rz = torch.add(gate_i[:, : 2 * units], gate_h[:, : 2 * units]).sigmoid_()
            n = torch.addcmul(gate_i[:, 2 * units :], rz[:, :units], gate_h[:, 2 * units :]).tanh_()
            h = torch.lerp(n, h, rz[:, units:], out=out)
        return states, h[None]


def packed_gru(layer: nn.GRU, precision: Precision) -> PackedGRU:
    """Return `layer`, which has one direction, with its products in `precision`."""
    weight_i, weight_h, bias_i, bias_h = (each.detach() for each in layer.all_weights[0])
    if precision == "int8":
        return int8_gru(quantize(weight_i), quantize(weight_h), bias_i, bias_h)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    return PackedGRU(_float_product(weight_i, bias_i, dtype), _float_product(weight_h, bias_h, dtype))


def int8_gru(weight_i: Int8Weight, weight_h: Int8Weight, bias_i: Tensor, bias_h: Tensor) -> PackedGRU:
    """Return a layer with weights that are quantized already."""
    return PackedGRU(_scaled(_int8_product(weight_i, None), bias_i), _int8_product(weight_h, bias_h))


def _float_product(weight: Tensor, bias: Tensor, dtype: torch.dtype) -> Product:
    """Return a product whose factors are in `dtype`."""
    # Packed for a single row, the case that is bound by memory.
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.to(dtype), 1)
    bias = bias.to(dtype)

    def product(x: Tensor) -> Tensor:
        """Return the product [n, outputs], in float32, for rows x [n, inputs]."""
        y: Tensor = torch.ops.mkldnn._linear_pointwise(x.to(dtype), packed, bias, "none", [], "")
        return y.float()

    return product


def _int8_product(weight: Int8Weight, bias: Tensor | None) -> Product:
    """Return a product for inputs between -1 and 1."""
    zeros = torch.zeros(len(weight.scales), dtype=torch.int64)
    quantized = torch._make_per_channel_quantized_tensor(weight.values, weight.scales.double(), zeros, 0)
    packed: Any = torch.ops.quantized.linear_prepack(quantized, bias)
    steps = 255 if torch.cpu._is_vnni_supported() else 127
    scale, zero = 2 / steps, (steps + 1) // 2

    def product(x: Tensor) -> Tensor:
        """Return the product [n, outputs], in float32, for rows x [n, inputs] between -1 and 1."""
        y: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(x, scale, zero, packed)
        return y

    return product


def _scaled(product: Product, bias: Tensor) -> Product:
    """Return `product` for inputs of any size: each row is divided by its largest value, its product multiplied."""

    def scaled(x: Tensor) -> Tensor:
        """Return the product [n, outputs] plus the bias, in float32, for rows x [n, inputs]."""
        largest = x.abs().amax(1, keepdim=True).clamp(min=torch.finfo(x.dtype).tiny)
        return torch.addcmul(bias, product(x / largest), largest)

    return scaled


def pack_layers(model: DeepSpeech2, precision: Precision) -> None:
    """Replace the GRU layers of `model` by packed ones in `precision`."""
    for layer in model.rnn:
        for name, part in [*layer.named_children()]:
            if isinstance(part, nn.GRU):
                layer.register_module(name, packed_gru(part, precision))
