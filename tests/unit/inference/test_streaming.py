"""Tests of a state that is carried over: in any division into blocks, the output is that of the whole."""

import dataclasses
from typing import Literal

import numpy as np
import pytest
import torch

import params
from speech_recognition.batches import collate
from speech_recognition.inference.blocks import Samples
from speech_recognition.inference.streaming import can_stream, stream
from speech_recognition.parameters import Params
from speech_recognition.recognizer import Recognizer, new_recognizer


def recognizer(base: Params, kind: Literal["gru", "lstm"] = "gru", bidirectional: bool = False) -> Recognizer:
    """Return an untrained recognizer with few units and features of `base`."""
    model = dataclasses.replace(base.model, rnn_units=16, rnn_type=kind, bidirectional=bidirectional)
    made = new_recognizer(dataclasses.replace(base, model=model), 1, torch.device("cpu"))
    for name, buffer in made.model.named_buffers():  # statistics of an untrained model would hide a missing BatchNorm
        buffer.fill_(2.0 if "var" in name else 0.1)
    made.model.eval()
    return made


class InBlocks:
    """Stands for a recording that is decoded in blocks of one size."""

    def __init__(self, samples: Samples, size: int) -> None:
        self.samples, self.size = samples, size

    def blocks(self) -> list[Samples]:
        return [self.samples[at : at + self.size] for at in range(0, len(self.samples), self.size)]


@torch.inference_mode()
def at_once(made: Recognizer, samples: Samples) -> torch.Tensor:
    nothing = torch.zeros(0, dtype=torch.int64)
    log_probs, lengths = made.log_probs(collate([(0, torch.from_numpy(samples), nothing)]))
    return log_probs[: max(0, int(lengths[0])), 0]


@pytest.mark.parametrize("kind", ["gru", "lstm"])
@pytest.mark.parametrize("preset", [params.mini, params.mlperf_2018, params.tensorflow])
@pytest.mark.parametrize("size", [171, 4_000, 100_000])
def test_any_blocks_are_equal_to_the_whole(preset: object, kind: Literal["gru", "lstm"], size: int) -> None:
    made = recognizer(preset(), kind)  # type: ignore[operator]
    samples = np.random.default_rng(1).integers(-3000, 3000, 16_077).astype(np.int16)
    got = torch.cat([*stream(made, InBlocks(samples, size))])  # type: ignore[arg-type]
    torch.testing.assert_close(got, at_once(made, samples), atol=1e-5, rtol=0)


@pytest.mark.parametrize("count", [1, 100, 161, 400, 5_000])
def test_a_recording_shorter_than_a_window_is_equal_too(count: int) -> None:
    made = recognizer(params.mlperf_2018())
    samples = np.random.default_rng(2).integers(-3000, 3000, count).astype(np.int16)
    got = torch.cat([*stream(made, InBlocks(samples, 90))])  # type: ignore[arg-type]
    torch.testing.assert_close(got, at_once(made, samples), atol=1e-5, rtol=0)


@pytest.mark.parametrize("preset", [params.mini, params.tensorflow])
def test_digital_silence_is_no_division_by_zero(preset: object) -> None:
    got = [*stream(recognizer(preset()), InBlocks(np.zeros(8_000, np.int16), 1_000))]  # type: ignore[arg-type, operator]
    assert torch.cat(got).isfinite().all()


def test_a_model_that_hears_both_directions_cannot_be_streamed() -> None:
    assert can_stream(recognizer(params.mini()))
    assert not can_stream(recognizer(params.mini(), bidirectional=True))
