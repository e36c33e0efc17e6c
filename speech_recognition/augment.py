"""Augmentation of training utterances: tempo, gain, speed and noise on waveforms, SpecAugment on spectrograms.

All of it works on the tensors of a batch, on the model's device. The random values are those of draws.py.

Shapes: b utterances, s samples, f frequency bins, t frames, k masks of an utterance.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from speech_recognition.batches import Batch
from speech_recognition.corpus.recordings import check_recording, read_any
from speech_recognition.draws import Draws
from speech_recognition.errors import InputError
from speech_recognition.features import Features
from speech_recognition.lengths import length_mask, lengths_at
from speech_recognition.parameters import AugmentationParams

Featurize = Callable[[Batch], tuple[Tensor, Tensor]]
"""Function from a batch on the host to spectrograms [b, f, t], on the features' device, and their lengths [b], on the
host: there CTC and the shapes of later layers need them."""


def plain(features: Features) -> Featurize:
    """Return the function that makes spectrograms without augmentation."""

    def featurize(part: Batch) -> tuple[Tensor, Tensor]:
        """Return the spectrograms of a batch and their lengths, as `Featurize` says."""
        device = features.window.device
        spectrograms, frames = features(part.waveforms.to(device, non_blocking=True), part.lengths)
        return spectrograms, frames

    return featurize


class Augmentation:
    """Function from a batch of training utterances to its augmented spectrograms, which differ from epoch to epoch."""

    def __init__(self, params: AugmentationParams, features: Features) -> None:
        """Make the function; its spectrograms are those of `features`."""
        self.params, self.features = params, features
        self.noise = torch.zeros(0, dtype=torch.int16)
        """all recordings of the noise folder, joined: [samples], 16-bit integers on the features' device; empty until
        the caller sets it"""

    def __call__(self, part: Batch, draws: Draws) -> tuple[Tensor, Tensor]:
        """Return a batch's spectrograms and their lengths, as `Featurize` says.

        draws: the random values of the whole training set in this epoch, of which the batch's indices pick some.
        """
        device = self.features.window.device
        if not self.params.active or part.utterances == 0:
            return plain(self.features)(part)
        draw = draws.rows(part.indices)
        waveforms, lengths = part.waveforms.to(device, non_blocking=True), part.lengths
        if self.params.changes_waveforms:
            waveforms, lengths = self.waveforms(waveforms, lengths, draw)
        spectrograms, frames = self.features(waveforms, lengths, draw.tempo if self.params.changes_tempo else None)
        if self.params.frequency_masks or self.params.time_masks:
            on_device = (tensor.to(device, non_blocking=True) for tensor in (frames, draw.masks))
            spectrograms = spectrograms * self._kept(spectrograms, *on_device)
        return spectrograms, frames

    def waveforms(self, waveforms: Tensor, lengths: Tensor, draw: Draws) -> tuple[Tensor, Tensor]:
        """Return waveforms [b, s] after speed, noise and gain, as floats of 16-bit scale, and their lengths [b].

        The lengths and the draw are on the host.
        """
        params, device = self.params, waveforms.device
        waveforms = waveforms.float()
        # Noise after speed, so that the noise keeps its pitch; gain last, so that it keeps the signal-to-noise ratio.
        if params.changes_speed:
            rows = [
                change_speed(row[:size], speed) for row, size, speed in zip(waveforms, lengths, draw.speed, strict=True)
            ]
            waveforms, lengths = pad_sequence(rows, batch_first=True), lengths_at(lengths, draw.speed)
        if params.noise_folder and len(self.noise):
            waveforms = waveforms + self._noise(waveforms, lengths.to(device, non_blocking=True), draw)
        scale = (10 ** (draw.gain_db / 20)).float().to(device, non_blocking=True)
        return (waveforms * scale[:, None]).clamp(-32768, 32767), lengths  # sox clips at 16 bits too

    def _noise(self, waveforms: Tensor, lengths: Tensor, draw: Draws) -> Tensor:
        """Return noise [b, s], scaled to each utterance's signal-to-noise ratio; short noise is repeated."""
        device = waveforms.device
        starts = (draw.noise_start * len(self.noise)).long().to(device, non_blocking=True)
        samples = torch.arange(waveforms.shape[1], device=device)
        noise = self.noise[(starts[:, None] + samples) % len(self.noise)].float()
        noise = noise * length_mask(lengths, waveforms.shape[1])
        powers = [each.square().sum(1) / lengths.clamp(min=1) for each in (waveforms, noise)]
        ratio = (10 ** (draw.noise_db / 10)).float().to(device, non_blocking=True)  # infinite: the noise becomes 0
        # The bound of 1e-9 matters only for a silent stretch of noise, which would be divided by 0.
        return noise * (powers[0] / (powers[1].clamp(min=1e-9) * ratio)).sqrt()[:, None]

    def _kept(self, spectrograms: Tensor, frames: Tensor, masks: Tensor) -> Tensor:
        """Return a mask [b, f, t] that is false where SpecAugment (Park et al. 2019) hides a cell.

        Widths over frames are shares of the utterance's length, as in MLPerf's RNN-T.
        """
        params, bins = self.params, spectrograms.shape[1]
        frequency, time = masks[:, : params.frequency_masks], masks[:, params.frequency_masks :]
        # One more than the widest, so that after `floor` all widths from min to max are equally likely.
        widths = params.frequency_mask_min + frequency[..., 0] * (
            min(params.frequency_mask_max, bins) + 1 - params.frequency_mask_min
        )
        over_bins = _covered(widths.floor(), frequency[..., 1], torch.full_like(frames, bins), bins)
        share = params.time_mask_min + time[..., 0] * (params.time_mask_max - params.time_mask_min)
        over_frames = _covered((share * frames[:, None]).round(), time[..., 1], frames, spectrograms.shape[2])
        covered: Tensor = over_bins[:, :, None] | over_frames[:, None, :]
        return ~covered


def check_noise(folder: Path) -> list[Path]:
    """Return the recordings of a folder. Raises InputError if there are none, or if a file is not a recording.

    Reads the headers only: a preflight calls it, so that a wrong folder stops a run before it begins.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise InputError(f"augmentation.noise_folder={folder}: no recordings there; name a folder that has some")
    for path in paths:
        check_recording(path)
    return paths


def read_noise(folder: Path) -> Tensor:
    """Return all recordings of a folder, joined: [samples], 16 kHz, 16-bit integers.

    Raises InputError as `check_noise` does.
    """
    return torch.from_numpy(np.concatenate([read_any(path) for path in check_noise(folder)]))


def _covered(widths: Tensor, places: Tensor, sizes: Tensor, size: int) -> Tensor:
    """Return a mask [b, size] that is true where one of an utterance's masks lies.

    widths: [b, k]; places: [b, k] in [0, 1), from the first possible start to the last; sizes: [b], the cells of
    each utterance that masks may cover.
    """
    starts = (places * (sizes[:, None] - widths + 1).clamp(min=1)).floor()
    positions = torch.arange(size, device=widths.device)
    inside = (positions >= starts[..., None]) & (positions < (starts + widths)[..., None])
    covered: Tensor = torch.any(inside, dim=1)
    return covered


def change_speed(waveform: Tensor, speed: Tensor) -> Tensor:
    """Return `waveform` [s] played `speed` times as fast, which raises its pitch too.

    Cuts or extends the spectrum, which is the exact resampling of a band-limited, periodic signal.
    """
    size = len(waveform)
    new = int(lengths_at(torch.tensor(size), speed))
    if size == 0 or new == size:
        return waveform
    spectrum = torch.fft.rfft(waveform)[: new // 2 + 1]
    changed: Tensor = torch.fft.irfft(spectrum, n=new) * (new / size)  # irfft divides by `new` instead of `size`
    return changed
