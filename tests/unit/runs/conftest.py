"""The state of a small run, as checkpoints hold it."""

import dataclasses
from collections.abc import Callable

import pytest
import torch

import params
from speech_recognition.model import build_model
from speech_recognition.runs.checkpoint import TrainingState
from speech_recognition.runs.metrics import EpochMetrics
from speech_recognition.training.optimizers import build_optimizer

SMALL = dataclasses.replace(params.mini(), model=dataclasses.replace(params.mini().model, conv_channels=2, rnn_units=4))


def _snapshot(epoch: int = 1) -> TrainingState:
    model = build_model(SMALL.model, 64, seed=epoch)
    optimizer = build_optimizer(SMALL.optimizer, model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    rows = [
        EpochMetrics(epoch=number, wer=50.0 + number, cer=1.0, utterance_wer=50.0 + number, eval_seconds=1.0)
        for number in range(1, epoch + 1)
    ]
    return TrainingState(
        params=SMALL,
        seed=5,
        train_set="ab12",
        val_set="cd34",
        tally={"epoch": epoch, "steps": 3, "loss": 0.1},
        metrics=[vars(row) for row in rows],
        model=model.state_dict(),
        optimizer=optimizer.state_dict(),
    )


@pytest.fixture(scope="session")
def snapshot() -> Callable[..., TrainingState]:
    """Return a function that makes the state of a run after `epoch` epochs, with made-up gradients; the WER rises."""
    return _snapshot
