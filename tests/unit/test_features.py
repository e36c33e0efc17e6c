"""Tests of spectrograms against their definition and against torchaudio's."""

import dataclasses

import numpy as np
import pytest
import torch
import torchaudio

import params
from speech_recognition.features import _FRAME_MULTIPLES, Features, length_mask
from speech_recognition.parameters import FeatureParams

LINEAR, MEL = params.mlperf_2018().features, FeatureParams(kind="mel")
POWER = params.tensorflow().features
MFCC = dataclasses.replace(MEL, kind="mfcc")
EVERY = pytest.mark.parametrize("settings", [LINEAR, MEL, POWER, MFCC], ids=["linear", "mel", "power", "mfcc"])
BY_UTTERANCE = pytest.mark.parametrize("settings", [LINEAR, MEL, MFCC], ids=["linear", "mel", "mfcc"])


def noise(*lengths: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    waveforms = torch.randint(-9000, 9000, (len(lengths), max(lengths)), generator=generator, dtype=torch.int16)
    return waveforms * length_mask(torch.tensor(lengths), max(lengths)), torch.tensor(lengths)


def direct_spectrum(waveform: np.ndarray, settings: FeatureParams) -> np.ndarray:
    """Magnitudes [bins, frames] by the definition: a mirrored signal, a window, a Fourier sum."""
    margin = settings.fft_samples // 2
    padded = np.pad(waveform / 32768, margin, mode="reflect")
    window = np.zeros(settings.fft_samples)
    start = (settings.fft_samples - settings.window_samples) // 2
    shape = {"hamming": np.hamming, "hann": np.hanning}[settings.window]
    window[start : start + settings.window_samples] = shape(settings.window_samples)
    starts = range(0, len(padded) - settings.fft_samples + 1, settings.hop_samples)
    return np.array([np.abs(np.fft.rfft(padded[s : s + settings.fft_samples] * window)) for s in starts]).T


def test_linear_features_follow_their_definition() -> None:
    waveforms, lengths = noise(8000)
    spectrogram, frames = Features(LINEAR)(waveforms, lengths)
    expected = np.log1p(direct_spectrum(waveforms[0].numpy() * 65536.0, LINEAR) * 32768)  # as sox scales samples
    expected = (expected - expected.mean()) / expected.std(ddof=1)
    assert spectrogram.shape == (1, 161, 51) and frames.tolist() == [51]
    np.testing.assert_allclose(spectrogram[0].numpy(), expected, atol=2e-4)


def torchaudios_mel(waveform: torch.Tensor) -> torch.Tensor:
    mel = torchaudio.transforms.MelSpectrogram(
        16_000, n_fft=512, win_length=320, hop_length=160, n_mels=64, window_fn=torch.hamming_window,
        wkwargs={"periodic": False},
    )  # fmt: skip
    bands: torch.Tensor = (mel(waveform / 32768) + 1e-6).log()
    return bands


def test_mel_features_are_torchaudios() -> None:
    waveforms, lengths = noise(8000)
    expected = torchaudios_mel(waveforms[0])
    expected = (expected - expected.mean()) / expected.std()
    torch.testing.assert_close(Features(MEL)(waveforms, lengths)[0][0], expected, atol=2e-5, rtol=0)


def test_tensorflows_features_are_log_density_normalised_over_time() -> None:
    waveforms, lengths = noise(8000)
    waveforms[0, 4000:] = 0  # where the floor counts
    power = direct_spectrum(waveforms[0].numpy(), POWER) ** 2 / (np.hanning(320) ** 2).sum() / 16_000
    power[1:-1] *= 2
    expected = np.log(power + 1e-14)
    expected = (expected - expected.mean(1, keepdims=True)) / (expected.std(1, keepdims=True) + 1e-6)
    np.testing.assert_allclose(Features(POWER)(waveforms, lengths)[0][0].numpy(), expected, atol=2e-3)


def test_mfcc_are_the_cosine_transform_of_torchaudios_mel_bands() -> None:
    waveforms, lengths = noise(8000)
    features = Features(MFCC)
    bands = torchaudios_mel(waveforms[0]).numpy()
    count = len(bands)
    dct = np.cos(np.pi / count * (np.arange(count) + 0.5) * np.arange(13)[:, None])  # DCT-II, orthonormal
    expected = np.sqrt(2 / count) * dct @ bands
    expected[0] /= np.sqrt(2)
    expected = (expected - expected.mean()) / expected.std(ddof=1)
    np.testing.assert_allclose(features(waveforms, lengths)[0][0].numpy(), expected, atol=2e-4)


def test_each_bin_is_normalised_over_its_own_frames() -> None:
    waveforms, lengths = noise(16000, 9000)
    batch, frames = Features(POWER)(waveforms, lengths)
    for spectrogram, count in zip(batch, frames, strict=True):
        torch.testing.assert_close(spectrogram[:, :count].mean(1), torch.zeros(161), atol=1e-4, rtol=0)
        torch.testing.assert_close(spectrogram[:, :count].std(1, correction=0), torch.ones(161), atol=1e-3, rtol=0)


def test_every_mel_band_hears_something() -> None:
    assert (Features(MEL).mel.sum(0) > 0).all()


@EVERY
def test_an_utterance_does_not_see_the_padding(settings: FeatureParams) -> None:
    waveforms, lengths = noise(16000, 12345, 800)
    features = Features(settings)
    batch, frames = features(waveforms, lengths)
    for index, length in enumerate(lengths.tolist()):
        alone, count = features(waveforms[index : index + 1, :length], lengths[index : index + 1])
        assert count == frames[index]
        torch.testing.assert_close(batch[index, :, :count], alone[0], atol=1e-5, rtol=1e-5)
        assert not batch[index, :, count:].any()


@BY_UTTERANCE
def test_each_utterance_is_normalised_over_its_own_cells(settings: FeatureParams) -> None:
    waveforms, lengths = noise(16000, 9000)
    batch, frames = Features(settings)(waveforms, lengths)
    for spectrogram, count in zip(batch, frames, strict=True):
        assert spectrogram[:, :count].mean().item() == pytest.approx(0, abs=1e-5)
        assert spectrogram[:, :count].std().item() == pytest.approx(1, abs=1e-4)


@EVERY
def test_silence_and_single_samples_stay_finite(settings: FeatureParams) -> None:
    waveforms = torch.zeros(2, 4000, dtype=torch.int16)
    batch, frames = Features(settings)(waveforms, torch.tensor([4000, 1]))
    assert torch.isfinite(batch).all()
    assert frames.tolist() == [26, 1]


def test_a_longer_window_gives_more_bins() -> None:
    settings = dataclasses.replace(LINEAR, window_seconds=0.025)
    waveforms, lengths = noise(8000)
    assert Features(settings)(waveforms, lengths)[0].shape[1] == settings.bins == 201


@EVERY
@pytest.mark.parametrize("tempo", [None, [1.15, 0.9, 1.0]])
def test_frames_padded_to_a_multiple_leave_the_spectrograms(
    settings: FeatureParams, tempo: list[float] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (waveforms, lengths), features = noise(8000, 7000, 321), Features(settings)
    tempos = None if tempo is None else torch.tensor(tempo, dtype=torch.float64)
    plain, frames = features(waveforms, lengths, tempos)
    assert plain.shape[2] == frames.max()
    monkeypatch.setitem(_FRAME_MULTIPLES, "cpu", 32)
    padded, same_frames = features(waveforms, lengths, tempos)
    assert padded.shape[2] == -(-plain.shape[2] // 32) * 32 > plain.shape[2]
    assert frames.equal(same_frames) and not padded[:, :, plain.shape[2] :].any()
    torch.testing.assert_close(padded[:, :, : plain.shape[2]], plain, rtol=0, atol=2e-6)


def test_a_multiple_of_frames_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_FRAME_MULTIPLES, "cpu", 32)
    assert [Features(LINEAR)(*noise(samples))[0].shape[2] for samples in (31 * 160 + 159, 32 * 160)] == [32, 64]
