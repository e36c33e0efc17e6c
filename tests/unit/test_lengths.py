"""Tests of masks and of the length that CTC needs."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.lengths import all_ctc_frames, ctc_frames, length_mask, lengths_at


def test_the_mask_is_true_up_to_each_length() -> None:
    mask = length_mask(torch.tensor([0, 2, 3]), 3)
    assert mask.tolist() == [[False, False, False], [True, True, False], [True, True, True]]


def test_the_shortest_path_has_a_blank_in_each_double() -> None:
    assert (ctc_frames("BOOKKEEPER"), ctc_frames("A"), ctc_frames([])) == (13, 1, 0)


@given(st.lists(st.integers(1, 3), max_size=4))
def test_it_is_the_shortest_path_by_trial(symbols: list[int]) -> None:
    def paths(frames: int) -> bool:
        every = itertools.product(range(4), repeat=frames)
        return any([symbol for symbol, _ in itertools.groupby(path) if symbol] == symbols for path in every)

    needed = ctc_frames(symbols)
    assert paths(needed) and not any(paths(frames) for frames in range(needed))


@given(st.lists(st.text("AB '", max_size=12), max_size=8), st.sampled_from([1, 3, 1 << 19]))
def test_the_frames_of_many_transcripts_are_those_of_each(transcripts: list[str], part: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("speech_recognition.lengths._PART", part)
        found = all_ctc_frames([each.encode() for each in transcripts])
    assert found.tolist() == [ctc_frames(each) for each in transcripts]


def test_lengths_at_a_speed_are_rounded() -> None:
    speeds = torch.tensor([2.0, 0.8, 1.0, 1.15], dtype=torch.float64)
    assert lengths_at(torch.tensor([1001, 100, 7, 16_000]), speeds).tolist() == [500, 125, 7, 13_913]
