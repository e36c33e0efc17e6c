"""Tests of masks and of the length that CTC needs."""

import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.lengths import ctc_frames, length_mask


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
