"""Fixture with a small dataset that can be learnt in seconds: every letter is a tone of its own."""

import random
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import soundfile

from params import SAMPLE_RATE
from speech_recognition.alphabet import SYMBOLS
from speech_recognition.corpus.counts import Counts, SplitCounts, write_counts
from speech_recognition.corpus.manifest import Utterance, write_manifest

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
