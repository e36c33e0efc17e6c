"""Tests that need a CUDA device: code paths that differ there must have the same results as on the CPU.

The same to rounding, not to the bit: cuDNN chooses its algorithms by the shape of a batch and sums in another order
than a CPU, and CTC's gradient is added up by atomic operations, in an order that changes from run to run.
"""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import params
from speech_recognition import settings
from speech_recognition.ahead import copied_ahead
from speech_recognition.augment import plain
from speech_recognition.batches import Batch
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.draws import epoch_draws
from speech_recognition.features import Features
from speech_recognition.model import build_model
from speech_recognition.reading import load_batches
from speech_recognition.runs import checkpoint
from speech_recognition.runs.checkpoint import TrainingState
from speech_recognition.runs.writer import copied
from speech_recognition.runtime.devices import choose_device
from speech_recognition.training import step as step_module
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
        loss = ctc_loss(here, lengths, targets.to(device), target_lengths)
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
    # The first steps of AdamW change every weight by its rate, in the direction of a gradient that may be rounding.
    assert results[1] == pytest.approx(results[0], rel=1e-3)


@pytest.mark.parametrize("name", params.PRESETS)
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_augmented_steps_of_every_preset(tone_dataset: Path, name: str, precision: str) -> None:
    sizes = ["model.rnn_units=64", f"model.precision={precision}", "augmentation.tempo_min=0.9"]
    trainer = Trainer(settings.apply(params.PRESETS[name](), sizes), seed=1, device=choose_device("cuda"))
    trainer.warm_up(train_seconds=2.0, val_seconds=3.0)
    clip_norm = trainer.params.optimizer.clip_norm
    augmented = partial(trainer.augmentation, draws=epoch_draws(trainer.params.augmentation, 1, 1, utterances=24))
    step = training_step(trainer.model, augmented, trainer.optimizer, clip_norm, [first_batch(tone_dataset)])
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
            torch.testing.assert_close(together[: frames[0], index], alone[: frames[0], 0], rtol=1e-4, atol=1e-4)


def test_batches_copied_ahead_hold_what_was_read(tone_dataset: Path) -> None:
    utterances, order = read_manifest(tone_dataset / "manifests" / "train.csv"), [[0, 1], [2, 3, 4], [5]]
    read = list(load_batches(utterances, order, workers=0))
    copied = list(copied_ahead(load_batches(utterances, order, workers=0, pin=True), choose_device("cuda")))
    assert len(copied) == 3
    for one, other in zip(read, copied, strict=True):
        assert other.waveforms.is_cuda and other.targets.is_cuda and not other.lengths.is_cuda
        assert all(part.equal(copy.cpu()) for part, copy in zip(one, other, strict=True))


def test_spectrograms_have_few_shapes(tone_dataset: Path) -> None:
    device = choose_device("cuda")
    features, batch = Features(params.mini().features).to(device), first_batch(tone_dataset).to(device)
    for tempo in (None, torch.full((8,), 1.1, dtype=torch.float64, device="cuda")):
        spectrograms, frames = features(batch.waveforms, batch.lengths, tempo)
        assert spectrograms.shape[2] % 32 == 0 and 0 <= spectrograms.shape[2] - int(frames.max()) < 32


@pytest.mark.parametrize("kind", ["gru", "lstm", "rnn"])
def test_bf16_has_no_float16_and_nearly_the_gradient_of_float64(tone_dataset: Path, kind: str) -> None:
    batch, found = first_batch(tone_dataset), []
    for precision in ("bf16", "float64"):
        chosen = dataclasses.replace(SMALL, rnn_type=kind, precision=precision if precision == "bf16" else "fp32")
        features, model = Features(params.mini().features), build_model(chosen, 64, seed=1)
        if precision == "float64":
            features, model = features.double(), model.double()
        features, model = features.cuda(), model.cuda()
        with Dtypes() as dtypes:
            step = training_step(model, plain(features), torch.optim.SGD(model.parameters(), 0.0), 1e9, [batch])
        assert step.updated and torch.float16 not in dtypes.seen
        assert (torch.bfloat16 in dtypes.seen) == (precision == "bf16")
        found.append([weight.grad.double() for weight in model.parameters() if weight.grad is not None])
    ours, exact = (torch.cat([each.flatten() for each in gradients]) for gradients in found)
    assert (ours - exact).norm() / exact.norm() < 0.1


class Dtypes(TorchDispatchMode):
    """The types of all tensors that reach an operation."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[torch.dtype] = set()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note the types, and run the operation."""
        self.seen |= {x.dtype for x in tree_leaves(args) if isinstance(x, torch.Tensor)}
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", params.PRESETS)
def test_a_step_waits_for_the_gpu_once(tone_dataset: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    sizes = ["model.rnn_units=64", "model.precision=bf16", "augmentation.tempo_min=0.9", "augmentation.time_masks=1"]
    trainer = Trainer(settings.apply(params.PRESETS[name](), sizes), seed=1, device=choose_device("cuda"))
    trainer.warm_up(train_seconds=2.0, val_seconds=2.0)
    trainer.model.train()
    (batch,) = load_batches(read_manifest(tone_dataset / "manifests" / "train.csv"), [list(range(8))], 0, pin=True)
    reads: list[int] = []

    def read(tensor: torch.Tensor) -> list[float]:
        reads.append(len(tensor))
        torch.cuda.set_sync_debug_mode("default")
        return [float(number) for number in tensor.tolist()]

    monkeypatch.setattr(step_module, "_read", read)
    torch.cuda.set_sync_debug_mode("error")
    try:
        draws = epoch_draws(trainer.params.augmentation, 1, 1, utterances=24)
        augmented = partial(trainer.augmentation, draws=draws)
        step = training_step(trainer.model, augmented, trainer.optimizer, 5.0, [batch], held=lambda: 15)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert step.updated and step.signal == 15 and reads == [3]


def test_a_checkpoint_holds_the_state_of_before_the_next_step(tone_dataset: Path) -> None:
    trainer = Trainer(settings.apply(params.mini(), ["model.rnn_units=64"]), seed=1, device=choose_device("cuda"))
    training_step(trainer.model, plain(trainer.features), trainer.optimizer, 5.0, [first_batch(tone_dataset)])
    state = TrainingState.of_weights(trainer.params, trainer.model.state_dict())
    state = dataclasses.replace(state, optimizer=trainer.optimizer.state_dict())
    before = checkpoint.digest([state.model, state.optimizer])
    copy = copied(state)
    with torch.no_grad():
        for weights in state.model.values():
            weights.add_(1)
    assert checkpoint.digest([copy.model, copy.optimizer]) == before
    assert all(tensor.is_pinned() for tensor in copy.model.values())
