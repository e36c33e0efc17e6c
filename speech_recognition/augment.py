"""Augmentation of training utterances: tempo, gain, speed and noise on waveforms, SpecAugment on spectrograms.

Everything happens on tensors in the batch, on its device. What an utterance gets is drawn
from seed, epoch and utterance alone: it does not depend on the batch, the number of processes
or a resumption.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from params import AugmentationParams
from speech_recognition.batches import Batch
from speech_recognition.corpus.recordings import check_recording, read_any
from speech_recognition.errors import InputError
from speech_recognition.features import Features
from speech_recognition.lengths import ctc_frames, length_mask

Featurize = Callable[[Batch], tuple[Tensor, Tensor]]
"""Turns a batch on the host into spectrograms [batch, bins, frames] and their lengths, on the features' device."""

OutputFrames = Callable[[Tensor, Tensor], Tensor]
"""Frames of log-probabilities for lengths in samples and tempos."""


def plain(features: Features) -> Featurize:
    """Return a function that makes the spectrograms of utterances as they are."""

    def featurize(part: Batch) -> tuple[Tensor, Tensor]:
        device = features.window.device
        spectrograms, frames = features(part.waveforms.to(device), part.lengths.to(device))
        return spectrograms, frames

    return featurize


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What some utterances get; each tensor is [batch]."""

    tempo: Tensor
    speed: Tensor
    gain_db: Tensor
    noise_db: Tensor
    """signal-to-noise ratio; infinite where there is no noise"""
    noise_start: Tensor
    """share of the noise at which it begins"""
    masks: Tensor
    """[batch, masks, 2], uniform in [0, 1): a width and a place for each mask"""


class Augmentation:
    """Turns batches into augmented spectrograms."""

    def __init__(self, params: AugmentationParams, features: Features, seed: int, output_frames: OutputFrames) -> None:
        """`output_frames` tells whether an utterance still has a CTC path at another tempo."""
        self.params, self.features = params, features
        self.noise = torch.zeros(0, dtype=torch.int16)
        """16-bit samples, all recordings of the noise folder one after another"""
        self._seed, self._output_frames = seed, output_frames

    def __call__(self, part: Batch, epoch: int) -> tuple[Tensor, Tensor]:
        """Return spectrograms [batch, bins, frames] and their lengths, on the features' device; `part` is on the host.

        `epoch` counts from 1.
        """
        device = self.features.window.device
        if not self.params.active or part.utterances == 0:
            return plain(self.features)(part)
        draw = self.draw(part, epoch)
        waveforms, lengths = part.waveforms.to(device, non_blocking=True), part.lengths.to(device, non_blocking=True)
        if self.params.changes_waveforms:
            waveforms, lengths = self.waveforms(waveforms, lengths, draw)
        tempo = draw.tempo.to(device) if self.params.changes_tempo else None
        spectrograms, frames = self.features(waveforms, lengths, tempo)
        if self.params.frequency_masks or self.params.time_masks:
            spectrograms = spectrograms * self._kept(spectrograms, frames, draw.masks.to(device))
        return spectrograms, frames

    def draw(self, part: Batch, epoch: int) -> Draw:
        """Draw for each utterance of a batch. Tempo and speed stay at 1 where no CTC path would be left."""
        params, rows = self.params, [self._row(index, epoch) for index in part.indices.tolist()]
        table = torch.from_numpy(np.stack([row[:6] for row in rows]))
        tempo, speed, gain, noisy, level, start = table.unbind(1)
        tempo = params.tempo_min + (params.tempo_max - params.tempo_min) * tempo
        speed = params.speed_min + (params.speed_max - params.speed_min) * speed
        transcripts = zip(part.targets.tolist(), part.target_lengths.tolist(), strict=True)
        needed = torch.tensor([ctc_frames(ids[:size]) for ids, size in transcripts])
        stays = self._output_frames(_faster(part.lengths, speed), tempo) < needed
        level = params.noise_min_db + (params.noise_max_db - params.noise_min_db) * level
        return Draw(
            tempo=tempo.where(~stays, 1.0),
            speed=speed.where(~stays, 1.0),
            gain_db=params.gain_min_db + (params.gain_max_db - params.gain_min_db) * gain,
            noise_db=level.where(noisy < params.noise_probability, math.inf),
            noise_start=start,
            masks=torch.from_numpy(np.stack([row[6:] for row in rows])).view(len(rows), -1, 2),
        )

    def _row(self, index: int, epoch: int) -> np.ndarray:
        """Return numbers in [0, 1) for one utterance in an epoch."""
        masks = self.params.frequency_masks + self.params.time_masks
        return np.random.default_rng([self._seed, epoch, max(index, 0), 1]).random(6 + 2 * masks)

    def waveforms(self, waveforms: Tensor, lengths: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
        """Speed, noise, gain: waveforms [batch, samples] as floats of 16-bit scale, and their lengths."""
        params, device = self.params, waveforms.device
        waveforms = waveforms.float()
        if params.changes_speed:
            rows = [
                change_speed(row[:size], speed) for row, size, speed in zip(waveforms, lengths, draw.speed, strict=True)
            ]
            waveforms, lengths = pad_sequence(rows, batch_first=True), _faster(lengths, draw.speed.to(device))
        if params.noise_folder and len(self.noise):
            waveforms = waveforms + self._noise(waveforms, lengths, draw)
        scale = (10 ** (draw.gain_db / 20)).float().to(device)
        return (waveforms * scale[:, None]).clamp(-32768, 32767), lengths  # sox clips there too

    def _noise(self, waveforms: Tensor, lengths: Tensor, draw: Draw) -> Tensor:
        """[batch, samples]: for each utterance a stretch of the noise at its signal-to-noise ratio, going round."""
        device, samples = waveforms.device, torch.arange(waveforms.shape[1])
        starts = (draw.noise_start * len(self.noise)).long()
        noise = self.noise[(starts[:, None] + samples) % len(self.noise)].to(device).float()
        noise = noise * length_mask(lengths, waveforms.shape[1])
        powers = [each.square().sum(1) / lengths.clamp(min=1) for each in (waveforms, noise)]
        ratio = (10 ** (draw.noise_db / 10)).float().to(device)  # infinite: no noise
        return noise * (powers[0] / (powers[1].clamp(min=1e-9) * ratio)).sqrt()[:, None]

    def _kept(self, spectrograms: Tensor, frames: Tensor, masks: Tensor) -> Tensor:
        """[batch, bins, frames], false under a mask (SpecAugment, Park et al. 2019; times as shares of the length)."""
        params, bins = self.params, spectrograms.shape[1]
        frequency, time = masks[:, : params.frequency_masks], masks[:, params.frequency_masks :]
        widths = params.frequency_mask_min + frequency[..., 0] * (
            min(params.frequency_mask_max, bins) + 1 - params.frequency_mask_min
        )
        over_bins = _covered(widths.floor(), frequency[..., 1], torch.full_like(frames, bins), bins)
        share = params.time_mask_min + time[..., 0] * (params.time_mask_max - params.time_mask_min)
        over_frames = _covered((share * frames[:, None]).round(), time[..., 1], frames, spectrograms.shape[2])
        covered: Tensor = over_bins[:, :, None] | over_frames[:, None, :]
        return ~covered


def check_noise(folder: Path) -> list[Path]:
    """Return the recordings of a folder, their headers read. Raises InputError if there are none, or on another file.

    Called before the run begins, so that a wrong folder costs nothing.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise InputError(f"augmentation.noise_folder={folder}: no recordings there; name a folder that has some")
    for path in paths:
        check_recording(path)
    return paths


def read_noise(folder: Path) -> Tensor:
    """Return all recordings of a folder one after another: [samples], 16 kHz, 16 bits. Raises as `check_noise`."""
    return torch.from_numpy(np.concatenate([read_any(path) for path in check_noise(folder)]))


def _covered(widths: Tensor, places: Tensor, sizes: Tensor, size: int) -> Tensor:
    """[batch, size]: what masks of these widths [batch, masks] cover, each at its place in [0, 1) below `sizes`."""
    starts = (places * (sizes[:, None] - widths + 1).clamp(min=1)).floor()
    positions = torch.arange(size, device=widths.device)
    inside = (positions >= starts[..., None]) & (positions < (starts + widths)[..., None])
    covered: Tensor = torch.any(inside, dim=1)
    return covered


def change_speed(waveform: Tensor, speed: Tensor) -> Tensor:
    """`waveform` [samples] played `speed` times as fast, pitch and tempo together: band-limited, by its spectrum."""
    size = len(waveform)
    new = int(_faster(torch.tensor(size), speed))
    if size == 0 or new == size:
        return waveform
    spectrum = torch.fft.rfft(waveform)[: new // 2 + 1]
    changed: Tensor = torch.fft.irfft(spectrum, n=new) * (new / size)
    return changed


def _faster(lengths: Tensor, speed: Tensor) -> Tensor:
    return (lengths.double() / speed).round().long()
