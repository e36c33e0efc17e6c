"""DeepSpeech2 as an ONNX graph, in which batch size, time and the lengths of the utterances are free.

The graph is written node by node, as torch's exporters do not carry the lengths into ONNX: its recurrent operators take
the length of each utterance, start a backward direction at the utterance's own end, and output zero after it. So the
sorting and the reversal of model.py are not needed here.

    inputs   spectrograms  [b, f, t] float32, zero on padding
             frames        [b] int64, lengths of the utterances
    outputs  log_probs     [t, b, symbol] float32; undefined on padding
             lengths       [b] int64, in output frames

Shapes are those of model.py; d directions.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from speech_recognition.alphabet import SYMBOLS
from speech_recognition.batch_norm import MaskedBatchNorm
from speech_recognition.model import ConvBlock, ConvShape, DeepSpeech2, Recurrent, frames_needed

OPSET = 18
"""Version of ONNX's operators, of December 2022: newer ones have nothing that the graph needs."""

_IR_VERSION = 8
"""Version of ONNX's file format that goes with OPSET."""

_OPERATORS = {nn.GRU: "GRU", nn.LSTM: "LSTM", nn.RNN: "RNN"}

_GATES = {nn.GRU: (1, 0, 2), nn.LSTM: (0, 3, 1, 2), nn.RNN: (0,)}
"""Torch's place of each gate, in ONNX's order: update, reset, candidate (GRU); input, output, forget, cell (LSTM)."""


def build_graph(model: DeepSpeech2, bins: int) -> onnx.ModelProto:
    """Return the model, made for spectrograms of `bins` rows, as an ONNX graph in float32 with its weights."""
    graph = _Graph()
    x, lengths = graph.node("Unsqueeze", _padded(graph, model), graph.numbers([1])), "frames"
    for index, block in enumerate(model.conv):
        assert isinstance(block, ConvBlock)
        x, lengths = _conv_block(graph, f"conv.{index}", block, x, lengths)
    graph.node("Identity", lengths, output="lengths")
    sequence_lengths = graph.node("Cast", lengths, to=TensorProto.INT32)
    x = graph.node("Transpose", x, perm=[3, 0, 1, 2])  # [b, c, f, t] to [t, b, c, f]
    x = graph.node("Reshape", x, graph.numbers([0, 0, -1]))  # [t, b, c * f]
    for index, layer in enumerate(model.rnn):
        assert isinstance(layer, Recurrent)
        x = _recurrent(graph, f"rnn.{index}", layer, x, sequence_lengths)
    x = graph.node("MatMul", _norm(graph, "norm", model.norm, x), graph.weight("linear.weight", model.linear.weight.T))
    if model.linear.bias is not None:
        x = graph.node("Add", x, graph.weight("linear.bias", model.linear.bias))
    graph.node("LogSoftmax", x, axis=-1, output="log_probs")
    return graph.model(bins)


def _padded(graph: "_Graph", model: DeepSpeech2) -> str:
    """Add what pads the spectrograms to the kernels of one output frame, as `DeepSpeech2` does; return its output."""
    missing = graph.node("Sub", graph.numbers([frames_needed(model.conv_shapes)]), graph.size("spectrograms", 2))
    pads = graph.node("Concat", graph.numbers([0]), graph.node("Max", missing, graph.numbers([0])), axis=0)
    return graph.node("Pad", "spectrograms", pads, "", graph.numbers([2]))


def _conv_block(graph: "_Graph", name: str, block: ConvBlock, x: str, lengths: str) -> tuple[str, str]:
    """Add a block of model.py for `x` [b, c, f, t] with `lengths` [b]; return its output and lengths."""
    bias = [graph.weight(f"{name}.conv.bias", block.conv.bias)] if block.conv.bias is not None else []
    shape = block.shape
    pads = [*shape.padding, *shape.padding]
    x = graph.node(
        "Conv", x, graph.weight(f"{name}.conv.weight", block.conv.weight), *bias, strides=shape.stride, pads=pads
    )
    lengths = _conv_lengths(graph, shape, lengths)
    limits = [graph.constant(np.array(limit, np.float32)) for limit in (0.0, block.limit)]
    if block.limit_first:
        x = _norm(graph, f"{name}.norm", block.norm, graph.node("Clip", x, *limits))
    else:
        x = graph.node("Clip", _norm(graph, f"{name}.norm", block.norm, x), *limits)
    return graph.node("Mul", x, _mask(graph, lengths, graph.size(x, 3))), lengths


def _conv_lengths(graph: "_Graph", shape: ConvShape, lengths: str) -> str:
    """Add ConvShape.output along time, at least 0, for `lengths` [b]; return its output [b]."""
    kernel, stride, padding = shape.kernel[1], shape.stride[1], shape.padding[1]
    # (n + 2p - k) // s + 1 as (n + 2p - k + s) // s: integers are rounded towards zero here.
    room = graph.node("Add", lengths, graph.numbers([2 * padding - kernel + stride]))
    return graph.node("Div", graph.node("Max", room, graph.numbers([0])), graph.numbers([stride]))


def _mask(graph: "_Graph", lengths: str, size: str) -> str:
    """Add a mask [b, 1, 1, t] of 1 before each of `lengths` [b] and 0 on padding; return its output."""
    zero, one = (graph.constant(np.array(number, np.int64)) for number in (0, 1))
    frames = graph.node("Range", zero, graph.node("Squeeze", size), one)
    mask = graph.node("Less", frames, graph.node("Unsqueeze", lengths, graph.numbers([1])))
    return graph.node("Unsqueeze", graph.node("Cast", mask, to=TensorProto.FLOAT), graph.numbers([1, 2]))


def _norm(graph: "_Graph", name: str, norm: MaskedBatchNorm, x: str) -> str:
    """Add BatchNorm by the running statistics: one factor and one shift for each feature; return its output."""
    scale = norm.weight / (norm.running_var + norm.epsilon).sqrt()
    shape = [-1, 1, 1] if norm.axis == 1 else [-1]  # of [b, c, f, t], or of [t, b, d]
    scaled = graph.node("Mul", x, graph.weight(f"{name}.scale", scale.reshape(shape)))
    return graph.node(
        "Add", scaled, graph.weight(f"{name}.shift", (norm.bias - norm.running_mean * scale).reshape(shape))
    )


def _recurrent(graph: "_Graph", name: str, layer: Recurrent, x: str, lengths: str) -> str:
    """Add a layer of model.py for `x` [t, b, d] with `lengths` [b]; return its output [t, b, outputs]."""
    if layer.norm is not None:
        x = _norm(graph, f"{name}.norm", layer.norm, x)
    directions = [each for each in (layer.forwards, layer.backwards) if each is not None]
    order = _GATES[type(layer.forwards)]
    weights = [
        graph.weight(f"{name}.{part}", tensor) for part, tensor in zip("WRB", _gates(directions, order), strict=True)
    ]
    attributes: dict[str, Any] = {
        "hidden_size": layer.forwards.hidden_size,
        "direction": "bidirectional" if layer.backwards is not None else "forward",
    }
    if isinstance(layer.forwards, nn.GRU):
        attributes["linear_before_reset"] = 1  # as torch and gru.py: the reset gate after the product
    y = graph.node(_OPERATORS[type(layer.forwards)], x, *weights, lengths, **attributes)  # [t, d, b, u]
    if layer.concat:
        return graph.node("Reshape", graph.node("Transpose", y, perm=[0, 2, 1, 3]), graph.numbers([0, 0, -1]))
    return graph.node("ReduceSum", y, graph.numbers([1]), keepdims=0)


def _gates(directions: Sequence[nn.RNNBase], order: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Return W [d, gates * u, i], R [d, gates * u, u] and both biases [d, 2 * gates * u], the gates in ONNX's order."""
    weights = [
        [torch.cat([part.chunk(len(order))[place] for place in order]) for part in layer.all_weights[0]]
        for layer in directions
    ]
    w, r, b_i, b_h = (torch.stack(parts) for parts in zip(*weights, strict=True))
    return w, r, torch.cat([b_i, b_h], 1)


class _Graph:
    """Graph that grows node by node. Values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._names = (f"v{number}" for number in itertools.count())

    def node(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node; return the name of its output, which is `output` if that is given."""
        output = output or next(self._names)
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def weight(self, name: str, values: Tensor) -> str:
        """Add a weight of the model under its `name`, and return the name."""
        return self.constant(values.detach().float().cpu().contiguous().numpy(), name)

    def numbers(self, values: Sequence[int]) -> str:
        """Add a vector of integers, or find an equal one, and return its name."""
        return self.constant(np.array(values, np.int64), f"n{','.join(map(str, values))}")

    def constant(self, values: NDArray[np.generic], name: str = "") -> str:
        """Add a constant under `name`, by default a new one, and return the name."""
        name = name or next(self._names)
        self._constants[name] = numpy_helper.from_array(values, name)
        return name

    def size(self, of: str, axis: int) -> str:
        """Add what returns the size [1] of a value along `axis`; return its output."""
        return self.node("Shape", of, start=axis, end=axis + 1)

    def model(self, bins: int) -> onnx.ModelProto:
        """Return the graph as a model, with the inputs and outputs in the head of this file."""
        info = helper.make_tensor_value_info
        inputs = [
            info("spectrograms", TensorProto.FLOAT, ["batch", bins, "time"]),
            info("frames", TensorProto.INT64, ["batch"]),
        ]
        outputs = [
            info("log_probs", TensorProto.FLOAT, ["output_time", "batch", len(SYMBOLS)]),
            info("lengths", TensorProto.INT64, ["batch"]),
        ]
        graph = helper.make_graph(self._nodes, "deepspeech2", inputs, outputs, [*self._constants.values()])
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION, producer_name="deepspeech2")
