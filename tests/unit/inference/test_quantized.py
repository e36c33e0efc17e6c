"""Tests of packed GRU layers: they compute what torch's do, and a row's product is independent of the other rows."""

import pytest
import torch
from torch import nn

from speech_recognition.inference.quantized import Precision, packed_gru, quantize

TOLERANCE: dict[Precision, float] = {"fp32": 1e-5, "bf16": 0.02, "int8": 0.02}
"""Largest difference of a state, which lies between -1 and 1, from torch's in float32."""
EVERY = pytest.mark.parametrize("precision", TOLERANCE)


@pytest.fixture
def layer() -> nn.GRU:
    torch.manual_seed(0)
    return nn.GRU(24, 32)


@pytest.fixture
def x() -> torch.Tensor:
    """Inputs of 40 output frames and 5 utterances, some frames a thousand times larger than others."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(40, 5, 24, generator=generator) * 10 ** torch.linspace(-3, 0, 40)[:, None, None]


@EVERY
@torch.inference_mode()
def test_a_packed_layer_computes_what_torchs_does(layer: nn.GRU, x: torch.Tensor, precision: Precision) -> None:
    states, last = packed_gru(layer, precision)(x)
    expected, expected_last = layer(x)
    torch.testing.assert_close(states, expected, atol=TOLERANCE[precision], rtol=0)
    torch.testing.assert_close(last, expected_last, atol=TOLERANCE[precision], rtol=0)


@torch.inference_mode()
def test_without_vnni_inputs_have_seven_bits(layer: nn.GRU, x: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, errors = layer(x)[0], []
    for supported in (True, False):
        monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda answer=supported: answer)
        errors.append((packed_gru(layer, "int8")(x)[0] - expected).abs())
    assert errors[1].max() < 2 * TOLERANCE["int8"]
    assert errors[1].mean() > 1.2 * errors[0].mean()


@EVERY
@torch.inference_mode()
def test_a_layer_goes_on_from_a_state(layer: nn.GRU, x: torch.Tensor, precision: Precision) -> None:
    packed = packed_gru(layer, precision)
    whole, end = packed(x)
    head, state = packed(x[:15])
    tail, last = packed(x[15:], state)
    torch.testing.assert_close(torch.cat([head, tail]), whole, atol=1e-6, rtol=0)
    torch.testing.assert_close(last, end, atol=1e-6, rtol=0)


@torch.inference_mode()
def test_rows_in_eight_bits_are_independent_to_the_bit(layer: nn.GRU, x: torch.Tensor) -> None:
    packed = packed_gru(layer, "int8")
    together = packed(x)[0]
    for row in range(5):
        assert packed(x[:, row : row + 1])[0].equal(together[:, row : row + 1])


def test_a_quantized_weight_is_off_by_half_a_step_at_most() -> None:
    weight = torch.randn(7, 50, generator=torch.Generator().manual_seed(0)) * torch.arange(7)[:, None]  # a row of zeros
    values, scales = quantize(weight)
    assert values.dtype == torch.int8 and values[1:].abs().amax(1).tolist() == [127] * 6
    error = (values * scales[:, None] - weight).abs()
    assert (error <= 0.501 * scales[:, None]).all()
