"""Tests of a recognizer for a CPU: an utterance's result is independent of its batch in every precision."""

from types import SimpleNamespace

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.batches import Batch, collate, nothing
from speech_recognition.errors import InputError
from speech_recognition.inference.packed import PackedRecognizer, pack
from speech_recognition.inference.quantized import Precision
from speech_recognition.recognizer import Recognizer, new_recognizer

CPU = torch.device("cpu")
PRECISIONS: list[Precision] = ["fp32", "bf16", "int8"]
EVERY = pytest.mark.parametrize("precision", PRECISIONS)
KINDS = pytest.mark.parametrize("preset", ["mini", "mlperf_2018"])


def untrained(preset: str, *assignments: str) -> Recognizer:
    """Return a small recognizer whose log-probabilities are far apart."""
    sizes = ["model.conv_channels=4", "model.rnn_units=40", *assignments]
    recognizer = new_recognizer(settings.apply(params.PRESETS[preset](), sizes), 1, CPU)
    torch.nn.init.normal_(recognizer.model.linear.weight, std=2, generator=torch.Generator().manual_seed(0))
    recognizer.model.eval()
    return recognizer


def packed(preset: str, precision: Precision) -> PackedRecognizer:
    assignments = ["model.precision=bf16"] if precision == "bf16" else []
    return pack(untrained(preset, *assignments), precision)


@pytest.fixture
def utterances() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    lengths = [9_001, 31_000, 150, 16_000, 23_456]
    return [torch.randint(-9000, 9000, (each,), generator=generator, dtype=torch.int16) for each in lengths]


def batch_of(*waveforms: torch.Tensor) -> Batch:
    return collate([(index, each, torch.tensor([1])) for index, each in enumerate(waveforms)])


@KINDS
@EVERY
@torch.inference_mode()
def test_an_utterance_does_not_depend_on_its_batch_mates(
    utterances: list[torch.Tensor], preset: str, precision: Precision
) -> None:
    recognizer = packed(preset, precision)
    log_probs, lengths = recognizer.log_probs(batch_of(*utterances))
    wanted = recognizer.output_lengths(torch.tensor([len(each) for each in utterances]))
    assert lengths.equal(wanted.clamp(min=0))
    for row, waveform in enumerate(utterances):
        alone, count = recognizer.log_probs(batch_of(waveform))
        torch.testing.assert_close(log_probs[: lengths[row], row], alone[: count[0], 0], atol=1e-5, rtol=1e-5)


@KINDS
@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 0.5), ("int8", 0.5)])
@torch.inference_mode()
def test_a_packed_recognizer_hears_what_the_trained_one_hears(
    utterances: list[torch.Tensor], preset: str, precision: Precision, tolerance: float
) -> None:
    batch = batch_of(*utterances)
    (expected, lengths), (log_probs, counts) = (
        each.log_probs(batch) for each in (untrained(preset), packed(preset, precision))
    )
    assert counts.equal(lengths)
    for row, count in enumerate(lengths.tolist()):
        torch.testing.assert_close(log_probs[:count, row], expected[:count, row], atol=tolerance, rtol=0)


@torch.inference_mode()
def test_the_last_layer_is_in_float32(utterances: list[torch.Tensor]) -> None:
    recognizer, inputs = packed("mini", "bf16"), list[torch.Tensor]()
    recognizer.model.norm.register_forward_hook(lambda *called: inputs.append(called[2]))
    log_probs = recognizer.log_probs(batch_of(*utterances))[0]
    expected = untrained("mini").model.linear(inputs[0].float()).log_softmax(-1)
    torch.testing.assert_close(log_probs, expected, atol=1e-5, rtol=1e-5)


@EVERY
def test_an_empty_utterance_has_no_text(precision: Precision) -> None:
    assert packed("mini", precision).transcribe(nothing()) == [""]


def test_int8_needs_gru_layers() -> None:
    with pytest.raises(InputError, match=r"--precision int8: only models with GRU layers .* model\.rnn_type=lstm"):
        pack(untrained("mini", "model.rnn_type=lstm"), "int8")


@torch.inference_mode()
def test_a_model_without_gru_layers_is_left_as_it_is(utterances: list[torch.Tensor]) -> None:
    log_probs, lengths = pack(untrained("mini", "model.rnn_type=lstm"), "fp32").log_probs(batch_of(*utterances))
    expected = untrained("mini", "model.rnn_type=lstm").log_probs(batch_of(*utterances))[0]
    torch.testing.assert_close(log_probs[: lengths[1], 1], expected[: lengths[1], 1], atol=1e-4, rtol=0)


def test_a_machine_that_lacks_a_precision_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speech_recognition.inference.packed.has_bf16", lambda: False)
    with pytest.raises(InputError, match="--precision bf16: this CPU lacks AVX512; use fp32 or int8"):
        pack(untrained("mini"), "bf16")
    monkeypatch.setattr("torch.backends.quantized", SimpleNamespace(supported_engines=["qnnpack"]))
    with pytest.raises(InputError, match="--precision int8: this torch lacks FBGEMM"):
        pack(untrained("mini"), "int8")
