"""Tests of the loading of a trained model: what computes is what was asked for."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from speech_recognition.batches import synthetic_batch
from speech_recognition.errors import InputError
from speech_recognition.inference.loading import load, precision_of
from speech_recognition.inference.weights import write_weights
from speech_recognition.runs import checkpoint

CPU = torch.device("cpu")
BATCH = synthetic_batch(2, 16_000, 5)


@torch.inference_mode()
def test_a_checkpoint_computes_as_in_its_training(save_model: Callable[..., Path]) -> None:
    path = save_model()
    loaded, plain = load(path, CPU), checkpoint.load(path, CPU)
    (found, lengths), (expected, expected_lengths) = loaded.log_probs(BATCH), plain.log_probs(BATCH)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert lengths.equal(expected_lengths)


@torch.inference_mode()
def test_the_precision_that_is_asked_for_replaces_that_of_the_training(save_model: Callable[..., Path]) -> None:
    path, exact = save_model("bf16.pt", "model.precision=bf16"), load(save_model("fp32.pt"), CPU)
    assert not load(path, CPU).log_probs(BATCH)[0].equal(exact.log_probs(BATCH)[0])
    asked = load(path, CPU, "fp32")
    assert asked.log_probs(BATCH)[0].equal(exact.log_probs(BATCH)[0])
    assert asked.params.model.precision == "bf16", "the run's own parameters"


@torch.inference_mode()
def test_a_model_trained_in_tf32_runs_on_a_cpu(save_model: Callable[..., Path]) -> None:
    loaded, exact = load(save_model("tf32.pt", "model.precision=tf32"), CPU), load(save_model("fp32.pt"), CPU)
    assert loaded.log_probs(BATCH)[0].equal(exact.log_probs(BATCH)[0])


def test_the_precision_that_computes_is_known(save_model: Callable[..., Path], tmp_path: Path) -> None:
    path, small = save_model("tf32.pt", "model.precision=tf32"), tmp_path / "small.safetensors"
    write_weights(small, checkpoint.read(path), int8=True)
    assert precision_of(path, load(path, CPU), None) == "fp32", "a CPU has no tf32"
    assert precision_of(path, load(path, CPU), "int8") == "int8"
    assert precision_of(small, load(small, CPU), None) == "int8"


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04"])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.pt: no checkpoint of this benchmark, or damaged"):
        load(path, CPU)


def test_int8_on_a_gpu_is_refused(save_model: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match="--precision int8: only CPUs have it, but the device is cuda; add --device"):
        load(save_model(), torch.device("cuda"), "int8")
