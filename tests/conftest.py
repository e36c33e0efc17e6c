"""Fixtures with a small dataset that can be learnt in seconds, every letter a tone of its own, and with checkpoints."""

import random
from collections.abc import Callable
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import soundfile
import torch

import params
from speech_recognition import settings
from speech_recognition.alphabet import SYMBOLS
from speech_recognition.corpus.counts import Counts, SplitCounts, write_counts
from speech_recognition.corpus.manifest import Utterance, write_manifest
from speech_recognition.parameters import SAMPLE_RATE
from speech_recognition.recognizer import new_recognizer
from speech_recognition.runs import checkpoint

# No time limit for an example: the machine may be busy.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

WORDS = ["BAD", "CAB", "DAB", "ADD", "ACE", "BEE"]


def tones(text: str) -> np.ndarray:
    """Return 16-bit audio of `text`: 80 ms of tone for a letter, of near silence for a space, 20 ms between symbols."""
    pieces = []
    for symbol in text:
        seconds = np.arange(round(0.08 * SAMPLE_RATE)) / SAMPLE_RATE
        frequency = 300 + 240 * SYMBOLS.index(symbol)
        loudness = 20 if symbol == " " else 6000
        pieces += [loudness * np.sin(2 * np.pi * frequency * seconds), np.zeros(round(0.02 * SAMPLE_RATE))]
    return np.concatenate(pieces).astype(np.int16)


def make_utterance(folder: Path, split: str, utterance_id: str, transcript: str) -> Utterance:
    """Write one recording and its text below `folder` and describe them."""
    audio, text = folder / split / "wav" / f"{utterance_id}.wav", folder / split / "txt" / f"{utterance_id}.txt"
    for path in (audio, text):
        path.parent.mkdir(parents=True, exist_ok=True)
    samples = tones(transcript)
    soundfile.write(audio, samples, SAMPLE_RATE, subtype="PCM_16")
    text.write_text(transcript + "\n")
    return Utterance(
        id=utterance_id,
        audio=audio,
        text=text,
        transcript=transcript,
        seconds=len(samples) / SAMPLE_RATE,
        samples=len(samples),
        speaker=utterance_id.partition("-")[0],
        subset=f"{split}-tones",
        bytes=audio.stat().st_size,
    )


@pytest.fixture(scope="session")
def tone_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a processed dataset of 24 training and 6 validation utterances. Tests do not change it."""
    folder = tmp_path_factory.mktemp("tones") / "tone_dataset"
    draw = random.Random(1)
    splits = {}
    for split, count in (("train", 24), ("val", 6)):
        texts = [" ".join(draw.choices(WORDS, k=draw.randint(2, 4))) for _ in range(count)]
        utterances = [make_utterance(folder, split, f"1-1-{index:04d}", text) for index, text in enumerate(texts)]
        write_manifest(folder / "manifests" / f"{split}.csv", utterances)
        splits[split] = SplitCounts.of([each.samples for each in utterances])
    write_counts(folder, Counts("custom", splits["train"], splits["val"], SplitCounts.of([])))
    return folder


@pytest.fixture
def save_model(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes the checkpoint of a tiny `mini` and returns its path.

    The model is untrained, but its last layer is loud: it says something, and its log-probabilities are far apart.
    """

    def save(name: str = "best.pt", *assignments: str) -> Path:
        sizes = ["model.conv_channels=2", "model.rnn_units=8", *assignments]
        chosen = settings.apply(params.mini(), sizes)
        model = new_recognizer(settings.apply(chosen, ["model.precision=fp32"]), 1, torch.device("cpu")).model
        torch.nn.init.normal_(model.linear.weight, std=3, generator=torch.Generator().manual_seed(0))
        state = checkpoint.TrainingState(
            params=chosen,
            seed=1,
            train_set="",
            val_set="",
            tally={},
            metrics=[],
            model=model.state_dict(),
            optimizer={},
        )
        checkpoint.save(tmp_path / name, state)
        return tmp_path / name

    return save
