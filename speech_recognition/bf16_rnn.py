"""A recurrent layer in bfloat16 by torch's own kernels, cuDNN's on a GPU.

Under autocast, torch casts such a layer to float16 whatever type autocast was given (its AutocastRNN). The smallest
number of float16 is 6e-8, so small gradients would become 0 in silence; bfloat16 has the exponents of float32.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

_KERNELS: dict[type[nn.RNNBase], Callable[..., Sequence[Any]]] = {
    nn.GRU: torch.gru,
    nn.LSTM: torch.lstm,
    nn.RNN: torch.rnn_tanh,
}


def bf16_rnn(layer: nn.RNNBase, x: Tensor) -> Tensor:
    """Return the output [t, b, u] in bfloat16 of a one-layer nn.GRU, nn.LSTM or nn.RNN for x [t, b, i].

    The layer's weights stay in float32; their gradient comes back in it.
    """
    with torch.autocast(x.device.type, enabled=False):
        x = x.to(torch.bfloat16)
        state = x.new_zeros(1, x.shape[1], layer.hidden_size)
        kernel, initial = _KERNELS[type(layer)], [state, state] if isinstance(layer, nn.LSTM) else state
        # Biases; one layer; no dropout; training or not; one direction; time before batch.
        y: Tensor = kernel(x, initial, _cast(layer.all_weights[0]), True, 1, 0.0, layer.training, False, False)[0]
        return y


def _cast(weights: Sequence[Tensor]) -> list[Tensor]:
    """Return `weights` in bfloat16, one behind the other in memory: cuDNN would copy them there with a warning."""
    flat = torch.cat([weight.reshape(-1) for weight in weights]).to(torch.bfloat16)
    pieces = torch.split(flat, [weight.numel() for weight in weights])
    return [piece.view_as(weight) for piece, weight in zip(pieces, weights, strict=True)]
