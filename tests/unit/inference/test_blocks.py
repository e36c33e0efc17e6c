"""Tests of recordings that are decoded block by block."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.corpus.recordings import read_any
from speech_recognition.errors import InputError
from speech_recognition.inference.blocks import LongRecording, cut


@pytest.mark.parametrize(("rate", "channels", "peak"), [(16_000, 1, 0.5), (44_100, 2, 0.5), (8_000, 1, 1.6)])
def test_blocks_are_the_samples_of_read_any(tmp_path: Path, rate: int, channels: int, peak: float) -> None:
    path = tmp_path / "a.wav"
    noise = np.random.default_rng(1).uniform(-peak, peak, (rate * 40, channels))
    soundfile.write(path, noise, rate, subtype="FLOAT")
    recording = LongRecording(path)
    blocks = [*recording.blocks()]
    assert recording.seconds == 40 and len(blocks) > 1
    np.testing.assert_array_equal(np.concatenate(blocks), read_any(path))


def test_a_recording_of_more_than_an_hour_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(3601 * 1000, np.int16), 1000)
    assert LongRecording(path).seconds == 3601
    with pytest.raises(InputError, match="between one sample and an hour"):
        read_any(path)


def test_a_fault_that_only_decoding_shows_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    samples = np.zeros(100_000, np.float32)
    samples[70_000] = np.nan
    soundfile.write(path, samples, 16_000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"a\.wav: has samples that are infinite"):
        [*LongRecording(path).blocks()]


@given(st.lists(st.integers(0, 9), min_size=1), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 15))))
def test_spans_are_cut_out_of_blocks_of_any_size(sizes: list[int], drawn: list[tuple[int, int]]) -> None:
    edges = np.cumsum([0, *sizes])
    whole = np.arange(edges[-1]).astype(np.int16)
    starts = sorted(min(start, len(whole)) for start, _ in drawn)
    stops = np.maximum.accumulate(
        [min(start + size, len(whole)) for start, (_, size) in zip(starts, drawn, strict=True)]
    )
    spans = [*zip(starts, map(int, stops), strict=True)]
    blocks = [whole[a:b] for a, b in pairwise(edges)]
    for (start, stop), piece in zip(spans, cut(blocks, spans), strict=True):
        np.testing.assert_array_equal(piece, whole[start:stop])
