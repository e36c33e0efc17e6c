"""Waveforms to normalised spectrograms, in the batch and on its device."""

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

from params import SAMPLE_RATE, FeatureParams
from speech_recognition.lengths import length_mask

_MEL_FLOOR = 1e-6
"""Added to a mel band's power before the logarithm: about the power of one 16-bit step."""

_SOX_SCALE = 2.0**31
"""The reference's torchaudio (of 2018) gave samples as sox has them: 16 bits in the upper half of 32."""

_POWER_FLOOR = 1e-14
"""Added to a bin's power before the logarithm (TensorFlow's featurizer.py)."""

_WINDOWS = {"hamming": torch.hamming_window, "hann": torch.hann_window}


class Features(nn.Module):
    """`(waveforms, lengths)` to `(spectrograms, frames)`.

    The reference's features (its data_loader.py): STFT of a 20 ms Hamming
    window every 10 ms, log(1 + magnitude) of samples on a scale of 32 bits, then one mean and one
    standard deviation over the utterance's whole spectrogram. `FeatureParams` has the others.
    """

    window: Tensor
    density: Tensor
    mel: Tensor
    dct: Tensor

    def __init__(self, params: FeatureParams) -> None:
        super().__init__()
        self.params = params
        # Not periodic: the reference hands scipy's window function to librosa, which calls it plainly.
        window = _WINDOWS[params.window](params.window_samples, periodic=False)
        self.register_buffer("window", window, persistent=False)
        if params.kind == "power":  # per hertz, from both sides of the spectrum: the bins at its ends stand once
            sides = torch.tensor([1.0, *[2.0] * (params.bins - 2), 1.0])
            self.register_buffer("density", sides / (window.square().sum() * SAMPLE_RATE), persistent=False)
        if params.kind in ("mel", "mfcc"):
            bins, nyquist = params.fft_samples // 2 + 1, SAMPLE_RATE / 2
            mel = torchaudio.functional.melscale_fbanks(bins, 0.0, nyquist, params.mel_bands, SAMPLE_RATE)
            self.register_buffer("mel", mel, persistent=False)
        if params.kind == "mfcc":
            dct = torchaudio.functional.create_dct(params.mfcc_coefficients, params.mel_bands, norm="ortho")
            self.register_buffer("dct", dct, persistent=False)

    def frames(self, lengths: Tensor, tempo: Tensor | None = None) -> Tensor:
        """Frames of waveforms of `lengths` samples: one on each hop, the first on sample 0; none of nothing."""
        hop = self.params.hop_samples
        hops = lengths // hop if tempo is None else (lengths / (hop * tempo)).floor().long()
        frames: Tensor = (1 + hops) * (lengths > 0)
        return frames

    def forward(self, waveforms: Tensor, lengths: Tensor, tempo: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spectrograms [batch, bins, frames], zero after each one's end, and their lengths [batch].

        waveforms: [batch, samples], 16-bit integers or floats of the same scale; lengths: [batch], in samples;
        tempo: [batch] in float64, how many times as fast each is spoken, at the same pitch.
        """
        frames = self.frames(lengths, tempo)
        padded = _reflect_ends(waveforms.to(self.window.dtype) / 32768, lengths, self.params.fft_samples // 2)
        if tempo is None:
            spectrum = torch.stft(
                padded,
                n_fft=self.params.fft_samples,
                hop_length=self.params.hop_samples,
                win_length=self.params.window_samples,
                window=self.window,
                center=False,
                return_complex=True,
            )
        else:
            spectrum = self._spectrum_at_tempo(padded, int(frames.max()), tempo)
        return _NORMALIZE[self.params.normalize](self._compress(spectrum), frames), frames

    def _spectrum_at_tempo(self, padded: Tensor, frames: int, tempo: Tensor) -> Tensor:
        """[batch, fft bins, frames] with windows every `tempo` hops: faster speech, its pitch and sounds untouched.

        Time-stretching programs such as sox put such windows back together to a waveform; here none is needed.
        """
        size, margin = self.params.fft_samples, self.params.fft_samples - self.params.window_samples
        hops = torch.arange(frames, device=padded.device) * self.params.hop_samples
        starts = (hops * tempo[:, None]).round().long().clamp(max=padded.shape[1] - size)
        rows = torch.arange(len(padded), device=padded.device)[:, None]
        window = F.pad(self.window, (margin // 2, margin - margin // 2))
        windows = padded.unfold(1, size, 1)[rows, starts] * window
        spectrum: Tensor = torch.fft.rfft(windows).transpose(1, 2)
        return spectrum

    def _compress(self, spectrum: Tensor) -> Tensor:
        """[batch, bins, frames] of a complex spectrum [batch, fft bins, frames]."""
        if self.params.kind == "linear":
            return (spectrum.abs() * _SOX_SCALE).log1p()
        power = spectrum.real.square() + spectrum.imag.square()
        if self.params.kind == "power":
            return (power * self.density[:, None] + _POWER_FLOOR).log()
        bands = (torch.einsum("bft,fm->bmt", power, self.mel) + _MEL_FLOOR).log()
        return bands if self.params.kind == "mel" else torch.einsum("bmt,mc->bct", bands, self.dct)


def _reflect_ends(waveforms: Tensor, lengths: Tensor, margin: int) -> Tensor:
    """Each waveform with `margin` samples mirrored at both of its own ends, then zeros.

    The mirror stands at the utterance's end and not at the batch's, so that the
    spectrogram does not depend on the padding (librosa's `center`, per utterance).
    """
    batch, samples = waveforms.shape
    last = lengths[:, None] - 1  # -1 where there is nothing; the frames of that are masked
    padded = waveforms.new_zeros(batch, samples + 2 * margin)
    padded[:, margin : margin + samples] = waveforms * length_mask(lengths, samples)
    offsets = torch.arange(1, margin + 1, device=waveforms.device).expand(batch, margin)
    head = waveforms.gather(1, torch.minimum(offsets, last.clamp(min=0)))
    tail = waveforms.gather(1, (last - offsets).clamp(min=0))
    padded.scatter_(1, margin - offsets, head)
    padded.scatter_(1, margin + last + offsets, tail)
    return padded


def _normalize_utterance(spectrogram: Tensor, frames: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 over all cells of each utterance; zero after its end."""
    mask = length_mask(frames, spectrogram.shape[2])[:, None]  # [batch, 1, frames]
    cells = (frames * spectrogram.shape[1]).clamp(min=2)[:, None, None]
    mean = (spectrogram * mask).sum((1, 2), keepdim=True) / cells
    centred = (spectrogram - mean) * mask
    deviation = (centred.square().sum((1, 2), keepdim=True) / (cells - 1)).sqrt()
    return centred / deviation.clamp(min=1e-5)


def _normalize_bin(spectrogram: Tensor, frames: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 of each bin over time (TensorFlow's featurizer.py); zero after the end."""
    mask = length_mask(frames, spectrogram.shape[2])[:, None]
    count = frames.clamp(min=1)[:, None, None]
    mean = (spectrogram * mask).sum(2, keepdim=True) / count
    centred = (spectrogram - mean) * mask
    deviation = (centred.square().sum(2, keepdim=True) / count).sqrt()
    return centred / (deviation + 1e-6)


_NORMALIZE = {"utterance": _normalize_utterance, "bin": _normalize_bin}
