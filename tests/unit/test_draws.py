"""The random values of an epoch: what they depend on, and what they leave alone."""

import dataclasses

import numpy as np
import pytest
import torch

from speech_recognition.draws import Draws, epoch_draws
from speech_recognition.parameters import AugmentationParams

ALL = AugmentationParams(
    tempo_min=0.85,
    tempo_max=1.15,
    speed_min=0.9,
    speed_max=1.1,
    gain_min_db=-6.0,
    gain_max_db=8.0,
    frequency_masks=2,
    time_masks=10,
)


def equal(one: Draws, other: Draws, *names: str) -> bool:
    return all(getattr(one, name).equal(getattr(other, name)) for name in names or vars(one))


def test_seed_epoch_and_index_decide() -> None:
    drawn = epoch_draws(ALL, 1, 1, 300)
    assert equal(drawn, epoch_draws(ALL, 1, 1, 300))
    for other in (epoch_draws(ALL, 1, 2, 300), epoch_draws(ALL, 2, 1, 300)):
        assert not any(equal(drawn, other, name) for name in ("tempo", "speed", "gain_db", "noise_start", "masks"))
    assert all(len(values.unique(dim=0)) == 300 for values in (drawn.tempo, drawn.gain_db, drawn.masks))


def test_a_row_does_not_depend_on_the_number_of_utterances() -> None:
    assert equal(epoch_draws(ALL, 1, 1, 300).rows(torch.arange(20)), epoch_draws(ALL, 1, 1, 20))


def test_masks_and_noise_leave_the_other_values_as_they_are() -> None:
    without = dataclasses.replace(ALL, frequency_masks=0, time_masks=0, noise_probability=0.0)
    assert equal(epoch_draws(ALL, 1, 1, 50), epoch_draws(without, 1, 1, 50), "tempo", "speed", "gain_db", "noise_start")


def test_the_order_of_an_epoch_is_drawn_from_a_different_generator() -> None:
    uniform = (epoch_draws(ALL, 1, 1, 50).tempo - 0.85) / 0.3
    assert not np.allclose(uniform, np.random.default_rng([1, 1]).random((50, 6))[:, 0])


def test_values_fill_their_range_and_no_more() -> None:
    drawn = epoch_draws(ALL, 1, 1, 300)
    for values, low, high in ((drawn.tempo, 0.85, 1.15), (drawn.speed, 0.9, 1.1), (drawn.gain_db, -6, 8)):
        assert low <= values.min() < low + 0.05 * (high - low) and high - 0.05 * (high - low) < values.max() <= high
        assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.1 * (high - low))


def test_rows_are_those_of_the_indices() -> None:
    drawn = epoch_draws(ALL, 1, 1, 10)
    some = drawn.rows(torch.tensor([7, 2]))
    assert some.tempo.tolist() == [drawn.tempo[7], drawn.tempo[2]]
    assert some.masks.shape == (2, 12, 2) and some.masks[1].equal(drawn.masks[2])


def test_what_would_leave_no_ctc_path_stays_as_it_is() -> None:
    def frames(samples: torch.Tensor, tempo: torch.Tensor) -> torch.Tensor:
        return (samples / 160 / tempo).floor().long()

    fast = AugmentationParams(tempo_min=1.15, tempo_max=1.15, speed_min=1.1, speed_max=1.1)
    drawn = epoch_draws(fast, 1, 1, 3).with_paths(torch.tensor([1600] * 3), torch.tensor([10, 7, 8]), frames)
    assert drawn.tempo.tolist() == [1.0, 1.15, 1.0]  # 7.9 frames are left, which is 7
    assert drawn.speed.tolist() == [1.0, 1.1, 1.0]


def test_stretched_lengths_are_those_that_speed_and_tempo_leave() -> None:
    drawn = epoch_draws(AugmentationParams(tempo_min=0.8, tempo_max=0.8, speed_min=1.25, speed_max=1.25), 1, 1, 2)
    assert drawn.stretched(torch.tensor([16_000, 100])).tolist() == [16_000, 100]
    slow = epoch_draws(AugmentationParams(tempo_min=0.8, tempo_max=0.8), 1, 1, 2)
    assert slow.stretched(torch.tensor([16_000, 101])).tolist() == [20_000, 126]
