"""Waveforms to normalised spectrograms, in the batch and on its device."""

import torch
import torchaudio
from torch import Tensor, nn

from params import SAMPLE_RATE, FeatureParams

_MEL_FLOOR = 1e-6
"""Added to a mel band's power before the logarithm: about the power of one 16-bit step."""


def valid(lengths: Tensor, size: int) -> Tensor:
    """Mask [batch, size] that is true up to each length."""
    return torch.arange(size, device=lengths.device) < lengths[:, None]


class Features(nn.Module):
    """`(waveforms, lengths)` to `(spectrograms, frames)`.

    The reference's features (its data_loader.py): STFT of a 20 ms Hamming
    window every 10 ms, log(1 + magnitude), then one mean and one standard
    deviation over the utterance's whole spectrogram.
    """

    window: Tensor
    mel: Tensor

    def __init__(self, params: FeatureParams) -> None:
        super().__init__()
        self.params = params
        # Not periodic: the reference hands scipy's window function to librosa, which calls it plainly.
        self.register_buffer("window", torch.hamming_window(params.window_samples, periodic=False), persistent=False)
        if params.kind == "mel":
            bins, nyquist = params.fft_samples // 2 + 1, SAMPLE_RATE / 2
            mel = torchaudio.functional.melscale_fbanks(bins, 0.0, nyquist, params.mel_bands, SAMPLE_RATE)
            self.register_buffer("mel", mel, persistent=False)

    def frames(self, lengths: Tensor) -> Tensor:
        """Frames of waveforms of `lengths` samples: one on each hop, the first on sample 0."""
        return 1 + lengths // self.params.hop_samples

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Spectrograms [batch, bins, frames], zero after each one's end, and their lengths [batch].

        waveforms: [batch, samples], 16-bit integers or floats of the same scale; lengths: [batch], in samples.
        """
        frames = self.frames(lengths)
        spectrum = torch.stft(
            _reflect_ends(waveforms.float() / 32768, lengths, self.params.fft_samples // 2),
            n_fft=self.params.fft_samples,
            hop_length=self.params.hop_samples,
            win_length=self.params.window_samples,
            window=self.window,
            center=False,
            return_complex=True,
        )
        if self.params.kind == "mel":
            power = spectrum.real.square() + spectrum.imag.square()  # [batch, fft bins, frames]
            spectrogram = (torch.einsum("bft,fm->bmt", power, self.mel) + _MEL_FLOOR).log()
        else:
            spectrogram = spectrum.abs().log1p()
        return _normalize(spectrogram, frames), frames


def _reflect_ends(waveforms: Tensor, lengths: Tensor, margin: int) -> Tensor:
    """Each waveform with `margin` samples mirrored at both of its own ends, then zeros.

    The mirror stands at the utterance's end and not at the batch's, so that the
    spectrogram does not depend on the padding (librosa's `center`, per utterance).
    """
    batch, samples = waveforms.shape
    last = lengths[:, None] - 1
    padded = waveforms.new_zeros(batch, samples + 2 * margin)
    padded[:, margin : margin + samples] = waveforms * valid(lengths, samples)
    offsets = torch.arange(1, margin + 1, device=waveforms.device).expand(batch, margin)
    head = waveforms.gather(1, torch.minimum(offsets, last))
    tail = waveforms.gather(1, (last - offsets).clamp(min=0))
    padded.scatter_(1, margin - offsets, head)
    padded.scatter_(1, margin + last + offsets, tail)
    return padded


def _normalize(spectrogram: Tensor, frames: Tensor) -> Tensor:
    """Mean 0 and standard deviation 1 over all cells of each utterance; zero after its end."""
    mask = valid(frames, spectrogram.shape[2])[:, None]  # [batch, 1, frames]
    cells = (frames * spectrogram.shape[1])[:, None, None]
    mean = (spectrogram * mask).sum((1, 2), keepdim=True) / cells
    centred = (spectrogram - mean) * mask
    deviation = (centred.square().sum((1, 2), keepdim=True) / (cells - 1)).sqrt()
    return centred / deviation.clamp(min=1e-5)
