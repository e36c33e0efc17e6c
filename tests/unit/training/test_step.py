"""Tests of a training step: loss, gradient and update."""

import copy
import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch

import params
from speech_recognition import alphabet, settings
from speech_recognition.augment import plain
from speech_recognition.batch_norm import MaskedBatchNorm
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.features import _FRAME_MULTIPLES, Features
from speech_recognition.model import build_model
from speech_recognition.orders import make_batches
from speech_recognition.parameters import FeatureParams
from speech_recognition.reading import load_batches
from speech_recognition.training.optimizers import build_optimizer
from speech_recognition.training.step import ctc_loss, training_step

GOLDEN = Path(__file__).parent / "golden_losses.json"
SMALL = dataclasses.replace(params.mini().model, conv_channels=4, rnn_units=24)


def probability_by_every_path(log_probs: torch.Tensor, text: str) -> float:
    """The definition: the sum over all paths that collapse to `text`. log_probs: [time, symbol]."""
    total = 0.0
    for path in itertools.product(range(log_probs.shape[1]), repeat=len(log_probs)):
        collapsed = [symbol for symbol, _ in itertools.groupby(path) if symbol != alphabet.BLANK]
        if collapsed == alphabet.encode(text):
            total += float(sum(log_probs[time, symbol] for time, symbol in enumerate(path)).exp())
    return total


def test_the_loss_is_ctcs_by_its_definition() -> None:
    logits = torch.randn(4, 2, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    log_probs = logits.log_softmax(-1)
    texts = ["AA", "B'"]
    targets = torch.tensor([alphabet.encode(text) for text in texts])
    loss = ctc_loss(log_probs, torch.tensor([4, 3]), targets, torch.tensor([2, 2]))
    direct = [
        -torch.tensor(probability_by_every_path(log_probs[:length, index], text)).log()
        for index, (length, text) in enumerate(zip((4, 3), texts, strict=True))
    ]
    assert loss.item() == pytest.approx(sum(direct).item() / 2, rel=1e-6)


def test_an_impossible_utterance_costs_nothing_and_teaches_nothing() -> None:
    log_probs = torch.zeros(3, 2, 29).log_softmax(-1).requires_grad_()
    targets = torch.tensor([[3, 3, 3, 3], [3, 0, 0, 0]])
    loss = ctc_loss(log_probs, torch.tensor([3, 3]), targets, torch.tensor([4, 1]))
    loss.backward()
    assert log_probs.grad is not None
    assert torch.isfinite(loss)
    assert not log_probs.grad[:, 0].any() and log_probs.grad[:, 1].any()


def test_the_loss_and_the_gradient_are_those_of_float64(tone_dataset: Path) -> None:
    """The whole of a step, from 16-bit samples on."""
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    batch = next(load_batches(utterances, [list(range(8))], workers=0))
    found = []
    for dtype in (torch.float32, torch.float64):
        features, model = Features(params.mini().features).to(dtype), build_model(SMALL, 64, seed=1).to(dtype)
        step = training_step(model, plain(features), build_optimizer(params.mini().optimizer, model), 1e9, [batch])
        gradients = [weight.grad.flatten().double() for weight in model.parameters() if weight.grad is not None]
        found.append((step.loss, torch.cat(gradients)))
    (loss, gradient), (exact_loss, exact_gradient) = found
    assert loss == pytest.approx(exact_loss, rel=1e-6)
    assert (gradient - exact_gradient).norm() / exact_gradient.norm() < 2e-5


@pytest.mark.parametrize("name", ["mini", "reference", "tensorflow"])
def test_padding_to_a_multiple_of_frames_changes_nothing(
    tone_dataset: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = settings.apply(params.PRESETS[name](), ["model.rnn_units=8", "model.conv_channels=2"])
    utterances, bins = read_manifest(tone_dataset / "manifests" / "train.csv"), chosen.features.bins
    batch, found = next(load_batches(utterances, [[3, 17, 9]], workers=0)), []
    for multiple in (1, 128):
        monkeypatch.setitem(_FRAME_MULTIPLES, "cpu", multiple)
        features, model = Features(chosen.features).double(), build_model(chosen.model, bins, seed=1).double()
        step = training_step(model, plain(features), build_optimizer(chosen.optimizer, model), 1e9, [batch])
        state = torch.cat([each.flatten() for each in (*model.parameters(), *model.buffers())])
        found.append((step.loss, state.detach()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-9)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=1e-6, atol=1e-6)


def test_the_gradient_is_that_of_finite_differences() -> None:
    """Of everything with its own backward: masked BatchNorm in every place, reversed layers, CTC."""
    small = dataclasses.replace(SMALL, conv_channels=1, rnn_units=2, rnn_layers=2)
    model = build_model(small, 16, seed=1).double()
    generator = torch.Generator().manual_seed(0)
    spectrograms = torch.randn(2, 16, 24, generator=generator, dtype=torch.float64)
    frames = torch.tensor([24, 17])
    spectrograms[1, :, 17:] = 0
    names = [name for name, _ in model.named_parameters() if not name.endswith("conv.weight")]
    names.append("conv.0.conv.weight")

    def loss(*weights: torch.Tensor) -> torch.Tensor:
        log_probs, lengths = torch.func.functional_call(
            model, dict(zip(names, weights, strict=True)), (spectrograms, frames)
        )
        return ctc_loss(log_probs, lengths, torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]))

    parameters = dict(model.named_parameters())
    torch.autograd.gradcheck(loss, [parameters[name].detach().requires_grad_() for name in names], atol=1e-6)


def losses(tone_dataset: Path, steps: int) -> list[float]:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    features, model = Features(FeatureParams(kind="mel")), build_model(SMALL, 64, seed=1)
    # A low rate: the last bits, which differ between processors, must not grow to a ten-thousandth in ten steps.
    optimizer = build_optimizer(dataclasses.replace(params.mini().optimizer, learning_rate=5e-4), model)
    batches = itertools.cycle(
        load_batches(utterances, make_batches(range(len(utterances)), [0] * len(utterances), 8), workers=0)
    )
    return [training_step(model, plain(features), optimizer, 5.0, [next(batches)]).loss for _ in range(steps)]


def test_the_losses_are_those_on_record(tone_dataset: Path) -> None:
    """A change that is meant to leave the numbers alone leaves these alone."""
    recorded = json.loads(GOLDEN.read_text())
    assert losses(tone_dataset, len(recorded)) == pytest.approx(recorded, rel=1e-4)


def test_the_same_seed_gives_the_same_losses_to_the_bit(tone_dataset: Path) -> None:
    assert losses(tone_dataset, 6) == losses(tone_dataset, 6)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_step_that_is_not_finite_changes_nothing(tone_dataset: Path, bad: float) -> None:
    features, model = Features(FeatureParams(kind="mel")), build_model(SMALL, 64, seed=1)
    optimizer = build_optimizer(params.mini().optimizer, model)
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    batch = next(load_batches(utterances, [[0, 1]], workers=0))
    assert training_step(model, plain(features), optimizer, 5.0, [batch]).updated
    with torch.no_grad():
        model.rnn[0].forwards.weight_ih_l0[0, 0] = bad
    before, moments = copy.deepcopy((model.state_dict(), optimizer.state_dict()["state"]))
    step = training_step(model, plain(features), optimizer, 5.0, [batch])
    assert not step.updated
    for name, value in model.state_dict().items():  # BatchNorm's running statistics too
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)
    for index, state in optimizer.state_dict()["state"].items():
        assert all(state[name].equal(value) for name, value in moments[index].items())


def test_clipping_bounds_the_gradient(tone_dataset: Path) -> None:
    features, model = Features(FeatureParams(kind="mel")), build_model(SMALL, 64, seed=1)
    optimizer = build_optimizer(params.mini().optimizer, model)
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    training_step(model, plain(features), optimizer, 1e-3, [next(load_batches(utterances, [[0, 1]], workers=0))])
    norm = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)


@pytest.mark.parametrize("name", params.PRESETS)
def test_every_preset_trains_a_step(tone_dataset: Path, name: str) -> None:
    """The reference's model at its full size, of its other recipes and TensorFlow's a narrower one."""
    chosen = params.PRESETS[name]()
    units = chosen.model.rnn_units if name in ("reference", "mini") else 256
    features = Features(chosen.features)
    model = build_model(dataclasses.replace(chosen.model, rnn_units=units), chosen.features.bins, seed=1)
    optimizer = build_optimizer(chosen.optimizer, model)
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")[:2]
    before = model.linear.weight.clone()
    batch = next(load_batches(utterances, [[0, 1]], workers=0))
    loss, updated, _ = training_step(model, plain(features), optimizer, chosen.optimizer.clip_norm, [batch])
    assert updated and 0 < loss < 1e4
    assert not model.linear.weight.equal(before)


def test_accumulated_parts_give_the_gradient_of_the_whole(tone_dataset: Path) -> None:
    """With BatchNorm's running statistics: a batch's own are those of a part."""

    def freeze(module: torch.nn.Module, _: object) -> None:
        module.eval()

    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    gradients = []
    for parts in ([[0, 1, 2, 3, 4]], [[0, 2, 4], [1, 3]]):
        features, model = Features(FeatureParams(kind="mel")), build_model(SMALL, 64, seed=1)
        for module in model.modules():
            if isinstance(module, MaskedBatchNorm):
                module.register_forward_pre_hook(freeze)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        training_step(model, plain(features), optimizer, 1e9, list(load_batches(utterances, parts, workers=0)))
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)
