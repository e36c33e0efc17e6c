"""Tests that need a CUDA device: code paths that differ there must have the same results as on the CPU."""

import dataclasses
from pathlib import Path

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.augment import plain
from speech_recognition.batches import Batch
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.features import Features
from speech_recognition.model import build_model
from speech_recognition.reading import load_batches
from speech_recognition.runtime.devices import choose_device
from speech_recognition.training.optimizers import build_optimizer
from speech_recognition.training.step import ctc_loss, training_step
from speech_recognition.training.trainer import Trainer

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

SMALL = dataclasses.replace(params.mini().model, conv_channels=4, rnn_units=24)


def test_an_impossible_utterance_costs_nothing_there_either() -> None:
    generator = torch.Generator().manual_seed(0)
    log_probs = torch.randn(30, 2, 29, generator=generator).log_softmax(-1)
    # The first needs 39 frames, since CTC puts a blank between equal symbols.
    targets = torch.tensor([[3] * 20, [3, 4] * 10])
    lengths, target_lengths = torch.tensor([30, 30]), torch.tensor([20, 20])
    results = []
    for device in ("cpu", "cuda"):
        here = log_probs.to(device).requires_grad_()
        loss = ctc_loss(here, lengths.to(device), targets.to(device), target_lengths.to(device))
        loss.backward()
        assert here.grad is not None and not here.grad[:, 0].any()
        results.append((loss.item(), here.grad.cpu()))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-4, atol=1e-6)


def first_batch(tone_dataset: Path) -> Batch:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    return next(iter(load_batches(utterances, [list(range(8))], workers=0)))


def test_a_step_gives_the_loss_and_the_weights_of_the_cpu(tone_dataset: Path) -> None:
    results = []
    for name in ("cpu", "cuda"):
        device = choose_device(name)
        features, model = Features(params.mini().features).to(device), build_model(SMALL, 64, seed=1).to(device)
        optimizer = build_optimizer(dataclasses.replace(params.mini().optimizer, learning_rate=1e-4), model)
        batch = first_batch(tone_dataset)
        results.append([training_step(model, plain(features), optimizer, 5.0, [batch]).loss for _ in range(3)])
    assert results[1] == pytest.approx(results[0], rel=1e-4)


@pytest.mark.parametrize("name", params.PRESETS)
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_augmented_steps_of_every_preset(tone_dataset: Path, name: str, precision: str) -> None:
    sizes = ["model.rnn_units=64", f"model.precision={precision}", "augmentation.tempo_min=0.9"]
    trainer = Trainer(settings.apply(params.PRESETS[name](), sizes), seed=1, device=choose_device("cuda"))
    trainer.warm_up(train_seconds=2.0, val_seconds=3.0)
    clip_norm = trainer.params.optimizer.clip_norm
    step = training_step(trainer.model, trainer.augmentation, trainer.optimizer, clip_norm, [first_batch(tone_dataset)])
    assert step.updated and 0 < step.loss < 1e4


def test_an_utterance_does_not_depend_on_its_batch(tone_dataset: Path) -> None:
    device = choose_device("cuda")
    features, model = Features(params.mini().features).to(device), build_model(SMALL, 64, seed=1).to(device).eval()
    batch = first_batch(tone_dataset).to(device)
    with torch.no_grad():
        together, lengths = model(*features(batch.waveforms, batch.lengths))
        for index, length in enumerate(batch.lengths.tolist()):
            alone, frames = model(
                *features(batch.waveforms[index : index + 1, :length], batch.lengths[index : index + 1])
            )
            assert frames[0] == lengths[index]
            torch.testing.assert_close(together[: frames[0], index], alone[: frames[0], 0], rtol=1e-5, atol=1e-5)
