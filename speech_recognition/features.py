"""Normalised spectrograms from waveforms, computed for a whole batch on its device.

Shapes: b utterances, s samples, f frequency bins (or bands, or coefficients), t frames of 10 ms (16 ms in `mini` and
`small`), k bins of the FFT.
"""

import torch
import torch.nn.functional as F
import torchaudio
from torch import Tensor, nn

from speech_recognition.lengths import length_mask
from speech_recognition.parameters import SAMPLE_RATE, FeatureParams

_MEL_FLOOR = 1e-6
"""Power added to a mel band before the logarithm: about that of one 16-bit step."""

_SOX_SCALE = 2.0**31
"""Scale of the reference's samples: its torchaudio (of 2018) returned sox's, 16 bits in the upper half of 32."""

_POWER_FLOOR = 1e-14
"""Power added to a bin before the logarithm (TensorFlow's featurizer.py)."""

_FRAME_MULTIPLES = {"cuda": 32}
"""Multiple of frames to which spectrograms are padded, by the kind of device; elsewhere they are not padded.

A GPU's libraries plan anew for each shape. The batches of an epoch of LibriSpeech have 187 numbers of frames, and 59
multiples of 32 for 1.3% more work (docs/RESULTS.md). On a CPU no shape has to be planned.
"""

_WINDOWS = {"hamming": torch.hamming_window, "hann": torch.hann_window}


class Features(nn.Module):
    """Spectrograms of waveforms, of one of the kinds in `FeatureParams`.

    The default is the MLPerf reference's (its data_loader.py): STFT of a 20 ms Hamming window every 10 ms,
    log(1 + magnitude) of samples on a scale of 32 bits, then one mean and one standard deviation over the
    utterance's whole spectrogram.
    """

    window: Tensor
    """[window samples]"""
    density: Tensor
    """[k], factors from power to spectral density (power)"""
    mel: Tensor
    """[k, f], weights of the FFT's bins in mel bands (mel, mfcc)"""
    dct: Tensor
    """[bands, f], cosine transform of mel bands (mfcc)"""

    def __init__(self, params: FeatureParams) -> None:
        """Make the features of `params`. A checkpoint does not hold the buffers, which follow from the parameters."""
        super().__init__()
        self.params = params
        # Symmetric, not periodic: the reference passes scipy's function to librosa, which calls it with its default.
        window = _WINDOWS[params.window](params.window_samples, periodic=False)
        self.register_buffer("window", window, persistent=False)
        if params.kind == "power":
            # A one-sided density per hertz: each bin stands for two of the spectrum, except 0 Hz and 8 kHz.
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
        """Return 1 + samples // hop frames for `lengths` [b] in samples; 0 for an empty waveform.

        tempo: [b], a factor by which the hop is multiplied.
        """
        hop = self.params.hop_samples
        hops = lengths // hop if tempo is None else (lengths / (hop * tempo)).floor().long()
        frames: Tensor = (1 + hops) * (lengths > 0)
        return frames

    def forward(self, waveforms: Tensor, lengths: Tensor, tempo: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return spectrograms [b, f, t], zero on padding, and their lengths [b] in frames.

        waveforms: [b, s], 16-bit integers or floats of the same scale; lengths: [b], in samples;
        tempo: [b] in float64, a factor on the speed of speech that leaves its pitch. The frames are on the device of
        `lengths` and `tempo`: on the host, their maximum is known without waiting for a GPU.
        """
        device, frames = waveforms.device, self.frames(lengths, tempo)
        lengths = lengths.to(device, non_blocking=True)
        # 16-bit integers to the range from -1 to 1.
        padded = reflect_ends(waveforms.to(self.window.dtype) / 32768, lengths, self.params.fft_samples // 2)
        if tempo is None:
            raw = self.raw(self._pad_to_multiple(padded))
        else:
            tempo = tempo.to(device, non_blocking=True)
            raw = self._compress(self._spectrum_at_tempo(padded, self.rounded_up(int(frames.max())), tempo))
        return _NORMALIZE[self.params.normalize](raw, frames.to(device, non_blocking=True)), frames

    def raw(self, padded: Tensor) -> Tensor:
        """Return features [b, f, t] before normalisation, of every whole window in `padded` [b, s], from -1 to 1."""
        spectrum = torch.stft(
            padded,
            n_fft=self.params.fft_samples,
            hop_length=self.params.hop_samples,
            win_length=self.params.window_samples,
            window=self.window,
            center=False,  # torch would mirror at the end of the batch: see reflect_ends
            return_complex=True,
        )
        return self._compress(spectrum)

    def _pad_to_multiple(self, padded: Tensor) -> Tensor:
        """Return `padded` [b, s] with as many samples as the windows of a rounded number of frames take."""
        hop, size = self.params.hop_samples, self.params.fft_samples
        frames = 1 + (padded.shape[1] - size) // hop
        rounded = self.rounded_up(frames)
        return padded if rounded == frames else F.pad(padded, (0, (rounded - 1) * hop + size - padded.shape[1]))

    def rounded_up(self, frames: int) -> int:
        """Return the number of frames to which a spectrogram of `frames` frames is padded."""
        multiple = _FRAME_MULTIPLES.get(self.window.device.type, 1)
        return -(-frames // multiple) * multiple

    def _spectrum_at_tempo(self, padded: Tensor, frames: int, tempo: Tensor) -> Tensor:
        """Return the complex spectrum [b, k, t] of windows that are `tempo` hops apart: faster speech at its own pitch.

        `sox tempo` joins such windows into a new waveform (WSOLA); a spectrogram needs the windows alone.
        """
        size, margin = self.params.fft_samples, self.params.fft_samples - self.params.window_samples
        hops = torch.arange(frames, device=padded.device) * self.params.hop_samples
        # The batch's longest utterance sets the number of frames. In a shorter one, frames after its own end may start
        # beyond the waveforms; they are padding and may hold anything.
        starts = (hops * tempo[:, None]).round().long().clamp(max=padded.shape[1] - size)
        rows = torch.arange(len(padded), device=padded.device)[:, None]
        # A window shorter than the FFT lies in its middle, as in torch.stft.
        window = F.pad(self.window, (margin // 2, margin - margin // 2))
        windows = padded.unfold(1, size, 1)[rows, starts] * window  # [b, t, size]
        spectrum: Tensor = torch.fft.rfft(windows).transpose(1, 2)  # [b, k, t]
        return spectrum

    def _compress(self, spectrum: Tensor) -> Tensor:
        """Return the real features [b, f, t] of a complex spectrum [b, k, t], before normalisation."""
        if self.params.kind == "linear":
            return (spectrum.abs() * _SOX_SCALE).log1p()
        power = spectrum.real.square() + spectrum.imag.square()
        if self.params.kind == "power":
            return (power * self.density[:, None] + _POWER_FLOOR).log()
        bands = (torch.einsum("bft,fm->bmt", power, self.mel) + _MEL_FLOOR).log()
        return bands if self.params.kind == "mel" else torch.einsum("bmt,mc->bct", bands, self.dct)


def reflect_ends(waveforms: Tensor, lengths: Tensor, margin: int) -> Tensor:
    """Return each of `waveforms` [b, s] with `margin` samples mirrored at both ends, [b, s + 2 * margin].

    As librosa's `center=True`, but at each utterance's own end and not at the end of the batch, so that a
    spectrogram does not depend on its padding. Padding is zero.
    """
    batch, samples = waveforms.shape
    last = lengths[:, None] - 1  # -1 for an empty waveform, whose frames are masked later
    padded = waveforms.new_zeros(batch, samples + 2 * margin)
    padded[:, margin : margin + samples] = waveforms * length_mask(lengths, samples)
    # The sample at the end itself is not repeated. A waveform shorter than the margin repeats its other end instead.
    offsets = torch.arange(1, margin + 1, device=waveforms.device).expand(batch, margin)
    head = waveforms.gather(1, torch.minimum(offsets, last.clamp(min=0)))
    tail = waveforms.gather(1, (last - offsets).clamp(min=0))
    padded.scatter_(1, margin - offsets, head)
    padded.scatter_(1, margin + last + offsets, tail)
    return padded


def _normalize_utterance(spectrogram: Tensor, frames: Tensor) -> Tensor:
    """Return each utterance's cells with mean 0 and standard deviation 1, zero on padding: [b, f, t].

    The deviation is the unbiased one, torch's `std` in the reference's data_loader.py.
    """
    mask = length_mask(frames, spectrogram.shape[2])[:, None]  # [b, 1, t]
    # At least 2, so that an empty utterance is not divided by 0.
    cells = (frames * spectrogram.shape[1]).clamp(min=2)[:, None, None]
    mean = (spectrogram * mask).sum((1, 2), keepdim=True) / cells
    centred = (spectrogram - mean) * mask
    deviation = (centred.square().sum((1, 2), keepdim=True) / (cells - 1)).sqrt()
    return centred / deviation.clamp(min=1e-5)  # digital silence has a deviation of 0


def _normalize_bin(spectrogram: Tensor, frames: Tensor) -> Tensor:
    """Return each bin with mean 0 and standard deviation 1 over time, zero on padding: [b, f, t].

    TensorFlow's featurizer.py, with the biased deviation and its 1e-6.
    """
    mask = length_mask(frames, spectrogram.shape[2])[:, None]  # [b, 1, t]
    count = frames.clamp(min=1)[:, None, None]
    mean = (spectrogram * mask).sum(2, keepdim=True) / count
    centred = (spectrogram - mean) * mask
    deviation = (centred.square().sum(2, keepdim=True) / count).sqrt()
    return centred / (deviation + 1e-6)


_NORMALIZE = {"utterance": _normalize_utterance, "bin": _normalize_bin}
