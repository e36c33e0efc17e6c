"""A tiny trainer, the set it trains on, and a profile of every kind of value."""

from pathlib import Path

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.profiling.calls import OTHER, Call, Place, Profile
from speech_recognition.training.epochs import TrainingSet
from speech_recognition.training.trainer import Trainer

TINY = settings.apply(
    params.mini(),
    ["model.conv_channels=2", "model.rnn_units=8", "data.batch_size=4", "model.precision=fp32"],
)


@pytest.fixture
def trainer() -> Trainer:
    return Trainer(TINY, seed=1, device=torch.device("cpu"))


@pytest.fixture
def train_set(tone_dataset: Path) -> TrainingSet:
    return TrainingSet(read_manifest(tone_dataset / "manifests" / "train.csv"), TINY, seed=1)


@pytest.fixture
def profile() -> Profile:
    calls = [
        Call(kernel="copy", place=OTHER, ms=1.0),
        Call(kernel="gemm", place=Place("rnn.0", "forward"), ms=2.0, sm=40.0, tensor=30.0),
        Call(kernel="gemm", place=Place("rnn.0", "backward"), ms=6.0, sm=80.0, tensor=50.0),
        Call(kernel="adam\x1b" + "w" * 100, place=Place("optimizer", "update"), ms=1.0, sm=20.0),
    ]
    return Profile(calls=calls, unit="GPU kernels", about="mini, batch 16")
