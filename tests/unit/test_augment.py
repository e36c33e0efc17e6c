"""Tests of augmentation: what it changes and what it leaves alone."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import params
from speech_recognition.augment import Augmentation, change_speed, read_noise
from speech_recognition.batches import Batch, collate, nothing
from speech_recognition.draws import epoch_draws
from speech_recognition.errors import InputError
from speech_recognition.features import Features
from speech_recognition.parameters import SAMPLE_RATE, AugmentationParams

LINEAR = params.mlperf_2018().features


def augmentation(features: Features | None = None, **changes: object) -> Augmentation:
    return Augmentation(AugmentationParams(**changes), features or Features(LINEAR))  # type: ignore[arg-type]


def augmented(part: Batch, augment: Augmentation, epoch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    return augment(part, epoch_draws(augment.params, 1, epoch, utterances=500))


def tone(hertz: float, seconds: float = 1.0, loudness: float = 3000) -> torch.Tensor:
    times = torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    return (loudness * torch.sin(2 * torch.pi * hertz * times)).round().to(torch.int16)


def batch_of(*waveforms: torch.Tensor) -> Batch:
    return collate([(index, waveform, torch.tensor([1, 2, 3])) for index, waveform in enumerate(waveforms)])


def loudest_bin(spectrograms: torch.Tensor) -> list[int]:
    return spectrograms.mean(2).argmax(1).tolist()


@pytest.mark.parametrize("tempo", [0.85, 1.15])
def test_tempo_changes_the_length_and_keeps_the_pitch(tempo: float) -> None:
    part = batch_of(tone(1000), tone(1000, seconds=2))
    plain, _ = Features(LINEAR)(part.waveforms, part.lengths)
    changed, fewer = augmented(part, augmentation(tempo_min=tempo, tempo_max=tempo))
    assert loudest_bin(plain) == loudest_bin(changed) == [20, 20]
    assert fewer.tolist() == [1 + int(16000 / (160 * tempo)), 1 + int(32000 / (160 * tempo))]
    assert changed.shape[2] == fewer.max() and not changed[0, :, fewer[0] :].any()


@pytest.mark.parametrize("kind", ["linear", "mel"])
def test_tempo_1_is_the_plain_spectrogram(kind: str) -> None:
    features = Features(dataclasses.replace(LINEAR, kind=kind))
    part = batch_of(torch.randint(-9000, 9000, (7123,), dtype=torch.int16), tone(400))
    plain, frames = features(part.waveforms, part.lengths)
    same, same_frames = features(part.waveforms, part.lengths, torch.ones(2, dtype=torch.float64))
    assert frames.equal(same_frames)
    torch.testing.assert_close(plain, same, rtol=1e-4, atol=1e-4)


def test_tempo_squeezes_what_was_said_evenly() -> None:
    """A high tone after a low one: the change comes at half of the new length."""
    part = batch_of(torch.cat([tone(500), tone(3000)]))
    changed, frames = augmented(part, augmentation(tempo_min=1.15, tempo_max=1.15))
    low = changed[0, 10] > changed[0, 60]
    assert abs(int(low.sum()) - int(frames[0]) // 2) <= 2


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_speed_changes_length_and_pitch(speed: float) -> None:
    part = batch_of(tone(1000), tone(1000, seconds=1.5))
    changed, frames = augmented(part, augmentation(speed_min=speed, speed_max=speed))
    assert loudest_bin(changed) == [round(20 * speed)] * 2
    assert frames.tolist() == [1 + round(16000 / speed) // 160, 1 + round(24000 / speed) // 160]


def test_speed_keeps_the_loudness() -> None:
    faster = change_speed(tone(1000).float(), torch.tensor(1.25))
    assert len(faster) == 12800
    assert faster.std().item() == pytest.approx(tone(1000).float().std().item(), rel=0.01)


def waveforms_of(part: Batch, augment: Augmentation) -> torch.Tensor:
    return augment.waveforms(part.waveforms, part.lengths, epoch_draws(augment.params, 1, 1, len(part.lengths)))[0]


def test_gain_is_in_decibels_and_clips_at_full_scale() -> None:
    part = batch_of(tone(440), tone(440, loudness=30000))
    louder = waveforms_of(part, augmentation(gain_min_db=6.0206, gain_max_db=6.0206))
    torch.testing.assert_close(louder[0], 2 * part.waveforms[0].float(), rtol=1e-4, atol=0.1)
    assert louder[1].max() == 32767 and louder[1].min() == -32768


ALL = {
    "tempo_min": 0.85,
    "tempo_max": 1.15,
    "gain_min_db": -6.0,
    "gain_max_db": 8.0,
    "speed_min": 0.9,
    "speed_max": 1.1,
    "frequency_masks": 2,
    "time_masks": 10,
}


def test_an_utterance_gets_the_same_whatever_its_batch() -> None:
    items = [(index, tone(300 + 100 * index, 0.3 + 0.1 * index), torch.tensor([1, 2])) for index in range(5)]
    augment = augmentation(**ALL)
    together, frames = augmented(collate(items), augment)
    for row, item in enumerate(items):
        alone, length = augmented(collate([item]), augment)
        assert length[0] == frames[row]
        torch.testing.assert_close(alone[0], together[row, :, : length[0]], rtol=1e-4, atol=1e-4)


def test_every_epoch_is_different_and_comes_back() -> None:
    part, augment = batch_of(tone(440), tone(440)), augmentation(**ALL)
    first, _ = augmented(part, augment)
    assert first.equal(augmented(part, augmentation(**ALL))[0])
    assert not first.equal(augmented(part, augment, epoch=2)[0])
    assert not first[0].equal(first[1])


def test_masks_cover_bins_and_frames_within_their_bounds() -> None:
    noise = torch.randint(-9000, 9000, (80000,), dtype=torch.int16)
    part = batch_of(noise, noise[:16000])
    features = Features(LINEAR)
    plain, frames = features(part.waveforms, part.lengths)
    masked, _ = augmented(part, augmentation(features=features, frequency_masks=2, time_masks=3, time_mask_max=0.2))
    assert torch.where(masked == 0, plain, masked).equal(plain)
    for row, length in enumerate(frames.tolist()):
        zero = masked[row, :, :length] == 0
        bins, times = zero.all(1).sum().item(), zero.all(0).sum().item()
        assert bins <= 40 and times <= 3 * round(0.2 * length)
    assert (masked[0, :, : frames[0]] == 0).any()


def test_widths_of_masks_are_uniform() -> None:
    part = batch_of(*[torch.randint(-9000, 9000, (1600,), dtype=torch.int16)] * 400)
    masked, _ = augmented(part, augmentation(frequency_masks=1, frequency_mask_min=2, frequency_mask_max=5))
    widths = (masked == 0).all(2).sum(1)
    assert sorted(set(widths.tolist())) == [2, 3, 4, 5]
    assert all(70 < (widths == width).sum() < 130 for width in (2, 3, 4, 5))


def test_the_share_of_a_process_with_no_utterance_stays_nothing() -> None:
    spectrograms, frames = augmented(nothing(), augmentation(**ALL))
    assert frames.tolist() == [0] and not spectrograms.any()


@pytest.fixture
def noise_folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    (tmp_path / "noise" / "more").mkdir(parents=True)
    soundfile.write(tmp_path / "noise" / "a.wav", rng.normal(0, 0.1, 8000), 8000)
    soundfile.write(tmp_path / "noise" / "more" / "b.flac", rng.normal(0, 0.01, (16000, 2)), 16000)
    return tmp_path / "noise"


def test_noise_has_the_wanted_ratio_and_leaves_the_padding(noise_folder: Path) -> None:
    augment = augmentation(noise_folder=str(noise_folder), noise_probability=1.0, noise_min_db=10, noise_max_db=10)
    augment.noise = read_noise(noise_folder)
    assert len(augment.noise) == 32000
    part = batch_of(tone(440), tone(440, seconds=3))
    added = waveforms_of(part, augment) - part.waveforms.float()
    assert not added[0, 16000:].any()
    for row, length in enumerate(part.lengths.tolist()):
        signal, noise = part.waveforms[row, :length].float(), added[row, :length]
        assert 10 * torch.log10(signal.square().mean() / noise.square().mean()).item() == pytest.approx(10, abs=0.1)


def test_noise_comes_as_often_as_asked_for(noise_folder: Path) -> None:
    augment = augmentation(noise_folder=str(noise_folder), noise_probability=0.25)
    augment.noise = read_noise(noise_folder)
    part = batch_of(*[tone(440, seconds=0.05)] * 400)
    noisy = (waveforms_of(part, augment) != part.waveforms.float()).any(1)
    assert 70 < noisy.sum() < 130


def test_a_folder_without_recordings_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"augmentation\.noise_folder=.*: no recordings"):
        read_noise(tmp_path)
    (tmp_path / "notes.txt").write_text("not a recording")
    with pytest.raises(InputError, match=r"notes\.txt: not a recording"):
        read_noise(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tempo_min": 1.2}, "augmentation.tempo_max=1.0: must be at least augmentation.tempo_min (1.2)"),
        ({"tempo_min": 0.1}, "augmentation.tempo_min=0.1: must be from 0.5 to 2.0"),
        ({"time_mask_max": 1.5}, "augmentation.time_mask_max=1.5"),
        ({"noise_probability": 2.0}, "augmentation.noise_probability=2.0"),
    ],
)
def test_ranges_make_sense(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError) as refusal:
        AugmentationParams(**changes)  # type: ignore[arg-type]
    assert message in str(refusal.value)
