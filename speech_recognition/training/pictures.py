"""Spectrograms before and after augmentation, as pictures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from speech_recognition.augment import Augmentation, plain
from speech_recognition.batches import load
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.files import atomic_write


def draw_augmented(folder: Path, augmentation: Augmentation, utterances: Sequence[Utterance], count: int) -> None:
    """Write `<utterance>.png` for `count` utterances of all lengths: as they are, and as they were trained on."""
    from matplotlib.figure import Figure

    indices = np.linspace(0, len(utterances) - 1, min(count, len(utterances))).round().astype(int).tolist()
    for batch in load(utterances, [[index] for index in indices], workers=0):
        utterance = utterances[int(batch.indices[0])]
        drawn = [make(batch) for make in (plain(augmentation.features), augmentation)]
        longest = max(int(frames[0]) for _, frames in drawn)
        figure = Figure(figsize=(10, 6), layout="constrained")
        figure.suptitle(f"{utterance.id}: {utterance.transcript[:90]}")
        titles = ("as it is", f"as in epoch {augmentation.epoch}")
        for axes, title, (spectrogram, frames) in zip(figure.subplots(2, 1), titles, drawn, strict=True):
            seconds = int(frames[0]) * augmentation.features.params.hop_seconds
            axes.imshow(
                spectrogram[0, :, : int(frames[0])].cpu().numpy(),
                origin="lower",
                aspect="auto",
                extent=(0, seconds, 0, spectrogram.shape[1]),
                vmin=-2,
                vmax=4,
            )
            axes.set(title=title, xlabel="seconds", ylabel="bin")
            axes.set_xlim(0, longest * augmentation.features.params.hop_seconds)
        with atomic_write(folder / f"{utterance.id}.png") as partial:
            figure.savefig(partial, format="png", dpi=100)
