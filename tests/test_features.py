import dataclasses

import numpy as np
import pytest
import torch

import params
from speech_recognition.features import Features, valid

LINEAR, MEL = params.reference().features, params.mini().features
BOTH = pytest.mark.parametrize("settings", [LINEAR, MEL], ids=["linear", "mel"])


def noise(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    waveforms = torch.randint(-9000, 9000, (len(lengths), max(lengths)), generator=generator, dtype=torch.int16)
    return waveforms * valid(torch.tensor(lengths), max(lengths)), torch.tensor(lengths)


def direct_spectrum(waveform: np.ndarray, settings: params.FeatureParams) -> np.ndarray:
    """Magnitudes [bins, frames] by the definition: a mirrored signal, a window, a Fourier sum."""
    margin = settings.fft_samples // 2
    padded = np.pad(waveform / 32768, margin, mode="reflect")
    window = np.zeros(settings.fft_samples)
    start = (settings.fft_samples - settings.window_samples) // 2
    window[start : start + settings.window_samples] = np.hamming(settings.window_samples)
    starts = range(0, len(padded) - settings.fft_samples + 1, settings.hop_samples)
    return np.array([np.abs(np.fft.rfft(padded[s : s + settings.fft_samples] * window)) for s in starts]).T


def test_linear_features_follow_their_definition() -> None:
    waveforms, lengths = noise(8000)
    spectrogram, frames = Features(LINEAR)(waveforms, lengths)
    expected = np.log1p(direct_spectrum(waveforms[0].numpy(), LINEAR))
    expected = (expected - expected.mean()) / expected.std(ddof=1)
    assert spectrogram.shape == (1, 161, 51) and frames.tolist() == [51]
    np.testing.assert_allclose(spectrogram[0].numpy(), expected, atol=2e-4)


def test_mel_features_are_the_log_of_banded_power() -> None:
    waveforms, lengths = noise(8000)
    features = Features(MEL)
    power = direct_spectrum(waveforms[0].numpy(), MEL) ** 2
    expected = np.log(features.mel.numpy().T @ power + 1e-6)
    expected = (expected - expected.mean()) / expected.std(ddof=1)
    np.testing.assert_allclose(features(waveforms, lengths)[0][0].numpy(), expected, atol=2e-4)


def test_every_mel_band_hears_something() -> None:
    assert (Features(MEL).mel.sum(0) > 0).all()


@BOTH
def test_an_utterance_does_not_see_the_padding(settings: params.FeatureParams) -> None:
    waveforms, lengths = noise(16000, 12345, 800)
    features = Features(settings)
    batch, frames = features(waveforms, lengths)
    for index, length in enumerate(lengths.tolist()):
        alone, count = features(waveforms[index : index + 1, :length], lengths[index : index + 1])
        assert count == frames[index]
        torch.testing.assert_close(batch[index, :, :count], alone[0], atol=1e-5, rtol=1e-5)
        assert not batch[index, :, count:].any()


@BOTH
def test_each_utterance_is_normalised_over_its_own_cells(settings: params.FeatureParams) -> None:
    waveforms, lengths = noise(16000, 9000)
    batch, frames = Features(settings)(waveforms, lengths)
    for spectrogram, count in zip(batch, frames, strict=True):
        assert spectrogram[:, :count].mean().item() == pytest.approx(0, abs=1e-5)
        assert spectrogram[:, :count].std().item() == pytest.approx(1, abs=1e-4)


@BOTH
def test_silence_and_single_samples_stay_finite(settings: params.FeatureParams) -> None:
    waveforms = torch.zeros(2, 4000, dtype=torch.int16)
    batch, frames = Features(settings)(waveforms, torch.tensor([4000, 1]))
    assert torch.isfinite(batch).all()
    assert frames.tolist() == [26, 1]


def test_a_longer_window_gives_more_bins() -> None:
    settings = dataclasses.replace(LINEAR, window_seconds=0.025)
    waveforms, lengths = noise(8000)
    assert Features(settings)(waveforms, lengths)[0].shape[1] == settings.bins == 201
