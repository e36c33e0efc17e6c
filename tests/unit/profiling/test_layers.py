"""Ranges by layer: which, in which order, and that they leave the training as it is."""

from collections.abc import Callable

import pytest
import torch

from speech_recognition.profiling.layers import layers, marked, nvtx_range
from speech_recognition.training.epochs import TrainingSet
from speech_recognition.training.trainer import Trainer

LAYERS = ["conv.0", "conv.1", "rnn.0", "rnn.1", "norm", "linear"]


class Recorder:
    """Opens ranges, and keeps what was opened and closed in order."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def open(self, name: str) -> Callable[[], object]:
        self.seen.append(name)
        return lambda: self.seen.append(f"end {name}")


def names(*places: str) -> list[str]:
    return [name for place in places for name in (place, f"end {place}")]


def test_layers_have_the_names_of_the_module_tree(trainer: Trainer) -> None:
    assert [name for name, _ in layers(trainer.model)] == LAYERS


@pytest.mark.parametrize("backward", [True, False])
def test_a_step_opens_one_range_after_the_other(trainer: Trainer, train_set: TrainingSet, backward: bool) -> None:
    recorder = Recorder()
    with marked(trainer, recorder.open, backward=backward):
        next(trainer.train(train_set, train_set.plan(1)))
    forward = [f"forward {name}" for name in ("features", *LAYERS)]
    back = [f"backward {name}" for name in reversed(LAYERS)] if backward else []
    assert recorder.seen == names(*forward, *back, "update optimizer")


def test_the_losses_are_those_of_a_training_that_is_not_profiled(train_set: TrainingSet, trainer: Trainer) -> None:
    plain = Trainer(trainer.params, trainer.seed, trainer.device)
    with marked(trainer, Recorder().open, backward=True):
        profiled = [tally.loss for tally in trainer.train(train_set, train_set.plan(1))]
    assert profiled == [tally.loss for tally in plain.train(train_set, train_set.plan(1))]


def test_nothing_is_recorded_after_the_block(trainer: Trainer, train_set: TrainingSet) -> None:
    recorder = Recorder()
    with marked(trainer, recorder.open, backward=True):
        pass
    next(trainer.train(train_set, train_set.plan(1)))
    assert recorder.seen == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_nvtx_ranges_open_and_close_on_a_gpu() -> None:
    nvtx_range("forward conv.0")()
