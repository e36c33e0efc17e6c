import dataclasses
import itertools
import json
from pathlib import Path

import pytest
import torch

import params
from speech_recognition import alphabet
from speech_recognition.batches import load
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.features import Features
from speech_recognition.model import MaskedBatchNorm, build_model
from speech_recognition.orders import cut
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


def losses(tone_dataset: Path, steps: int) -> list[float]:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    features, model = Features(params.mini().features), build_model(SMALL, 64, seed=1)
    # A low rate: the last bits, which differ between processors, must not grow to a ten-thousandth in ten steps.
    optimizer = build_optimizer(dataclasses.replace(params.mini().optimizer, learning_rate=5e-4), model)
    batches = itertools.cycle(load(utterances, cut(range(len(utterances)), [0] * len(utterances), 8), workers=0))
    return [training_step(model, features, optimizer, 5.0, [next(batches)]) for _ in range(steps)]


def test_the_losses_are_those_on_record(tone_dataset: Path) -> None:
    """A change that is meant to leave the numbers alone leaves these alone."""
    recorded = json.loads(GOLDEN.read_text())
    assert losses(tone_dataset, len(recorded)) == pytest.approx(recorded, rel=1e-4)


def test_the_same_seed_gives_the_same_losses_to_the_bit(tone_dataset: Path) -> None:
    assert losses(tone_dataset, 6) == losses(tone_dataset, 6)


def test_a_gradient_that_is_not_finite_leaves_the_weights(tone_dataset: Path) -> None:
    features, model = Features(params.mini().features), build_model(SMALL, 64, seed=1)
    optimizer = build_optimizer(params.mini().optimizer, model)
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    batch = next(load(utterances, [[0, 1]], workers=0))
    torch.nn.init.constant_(model.linear.weight, float("nan"))
    before = [weight.clone() for weight in model.conv.parameters()]
    with pytest.raises(FloatingPointError, match="norm is nan"):
        training_step(model, features, optimizer, 5.0, [batch])
    assert all(weight.equal(old) for weight, old in zip(model.conv.parameters(), before, strict=True))


def test_clipping_bounds_the_gradient(tone_dataset: Path) -> None:
    features, model = Features(params.mini().features), build_model(SMALL, 64, seed=1)
    optimizer = build_optimizer(params.mini().optimizer, model)
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    training_step(model, features, optimizer, 1e-3, [next(load(utterances, [[0, 1]], workers=0))])
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
    loss = training_step(
        model, features, optimizer, chosen.optimizer.clip_norm, [next(load(utterances, [[0, 1]], workers=0))]
    )
    assert 0 < loss < 1e4
    assert not model.linear.weight.equal(before)


def test_accumulated_parts_give_the_gradient_of_the_whole(tone_dataset: Path) -> None:
    """With BatchNorm's running statistics: a batch's own are those of a part."""

    def freeze(module: torch.nn.Module, _: object) -> None:
        module.eval()

    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    gradients = []
    for parts in ([[0, 1, 2, 3, 4]], [[0, 2, 4], [1, 3]]):
        features, model = Features(params.mini().features), build_model(SMALL, 64, seed=1)
        for module in model.modules():
            if isinstance(module, MaskedBatchNorm):
                module.register_forward_pre_hook(freeze)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
        training_step(model, features, optimizer, 1e9, list(load(utterances, parts, workers=0)))
        gradients.append(torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)
