"""Spectrograms before and after augmentation, as pictures."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from speech_recognition.augment import Augmentation, plain
from speech_recognition.figures import new_figure
from speech_recognition.files import atomic_write
from speech_recognition.reading import load_batches
from speech_recognition.training.epochs import TrainingSet


def draw_augmented(folder: Path, augmentation: Augmentation, train_set: TrainingSet, epoch: int) -> None:
    """Write `<utterance>.png` for some utterances: the spectrogram as it is, and as it was trained on in `epoch`.

    `augmentation.pictures` is their number; they are spread evenly over the set, which is sorted by length.
    """
    count, utterances, draws = augmentation.params.pictures, train_set.utterances, train_set.draws(epoch)
    indices = np.linspace(0, len(utterances) - 1, min(count, len(utterances))).round().astype(int).tolist()
    for batch in load_batches(utterances, [[index] for index in indices], workers=0):
        utterance = utterances[int(batch.indices[0])]
        drawn = [plain(augmentation.features)(batch), augmentation(batch, draws)]
        name = re.sub(r"[/\0]", "_", utterance.id)  # a manifest's id may be any text
        with new_figure(10, 6) as figure, atomic_write(folder / f"{name}.png") as partial:
            figure.suptitle(f"{utterance.id}: {utterance.transcript[:90]}")
            _draw(figure, drawn, augmentation.features.params.hop_seconds, epoch)
            figure.savefig(partial, format="png", dpi=100)


def _draw(figure: Any, drawn: Sequence[tuple[Tensor, Tensor]], hop: float, epoch: int) -> None:
    """Draw two spectrograms [1, f, t] with their lengths [1] below each other; a frame is `hop` seconds."""
    longest = max(int(frames[0]) for _, frames in drawn)
    titles = ("as it is", f"as in epoch {epoch}")
    for axes, title, (spectrogram, frames) in zip(figure.subplots(2, 1), titles, drawn, strict=True):
        axes.imshow(
            spectrogram[0, :, : int(frames[0])].cpu().numpy(),
            origin="lower",
            aspect="auto",
            extent=(0, int(frames[0]) * hop, 0, spectrogram.shape[1]),
            # One scale for both. The features have mean 0 and deviation 1, with loud cells far above the mean.
            vmin=-2,
            vmax=4,
        )
        axes.set(title=title, xlabel="seconds", ylabel="bin")
        axes.set_xlim(0, longest * hop)
