"""How often a training step makes the host wait for the device: once.

The steps here run on torch's device `meta`, which takes every path of a GPU and has no numbers: whatever asks for one
raises an error.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import params
from speech_recognition import settings
from speech_recognition.augment import plain
from speech_recognition.batches import Batch, synthetic_batch
from speech_recognition.draws import epoch_draws
from speech_recognition.training import step
from speech_recognition.training.trainer import Trainer

META = torch.device("meta")
SIZES = ["model.conv_channels=2", "model.rnn_units=8"]
AUGMENTED = [
    "augmentation.tempo_min=0.9",
    "augmentation.speed_min=0.9",
    "augmentation.speed_max=1.1",
    "augmentation.gain_min_db=-6",
    "augmentation.frequency_masks=1",
    "augmentation.time_masks=2",
    "augmentation.noise_folder=made",
    "augmentation.noise_probability=0.5",
]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Yield the sizes of the tensors that a step reads from the device; numbers are 1 there."""
    sizes: list[int] = []

    def read(tensor: torch.Tensor) -> list[float]:
        assert tensor.device == META
        sizes.append(len(tensor))
        return [1.0] * len(tensor)

    def ctc_loss(log_probs: torch.Tensor, targets: torch.Tensor, *lengths: torch.Tensor, **_: Any) -> torch.Tensor:
        # torch has no CTC for this device. On CUDA, its first act is to read lengths that are not on the host.
        assert (log_probs.device, targets.device) == (META, META)
        assert all(each.device.type == "cpu" for each in lengths)
        return log_probs.sum((0, 2))

    monkeypatch.setattr(step, "_read", read)
    monkeypatch.setattr(step.F, "ctc_loss", ctc_loss)
    yield sizes


def trainer_of(*assignments: str, preset: str = "mini") -> Trainer:
    return Trainer(settings.apply(params.PRESETS[preset](), [*SIZES, *assignments]), seed=1, device=META)


def run_step(trainer: Trainer, featurize: step.Featurize, parts: int = 1) -> step.Step:
    batches = [synthetic_batch(3, 20_000, 5)] * parts
    return step.training_step(trainer.model, featurize, trainer.optimizer, 5.0, batches)


def augmented(trainer: Trainer) -> step.Featurize:
    trainer.augmentation.noise = torch.zeros(50_000, dtype=torch.int16, device=META)
    draws = epoch_draws(trainer.params.augmentation, seed=1, epoch=1, utterances=3)
    return partial(trainer.augmentation, draws=draws)


@pytest.mark.parametrize("preset", ["mini", "mlperf_2018", "tensorflow"])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_step_waits_for_the_device_once(reads: list[int], preset: str, parts: int) -> None:
    trainer = trainer_of("model.precision=fp32", preset=preset)
    assert run_step(trainer, plain(trainer.features), parts) == step.Step(1.0, True, 1)
    assert reads == [3]  # the loss, the loss with the gradient's norm, and the signal of one process


def test_augmentation_does_not_wait(reads: list[int]) -> None:
    trainer = trainer_of(*AUGMENTED)
    assert run_step(trainer, augmented(trainer)).updated
    assert reads == [3]


def test_a_step_that_is_not_finite_waits_no_more(reads: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of()
    monkeypatch.setattr(step, "_read", lambda _: reads.append(3) or [1.0, float("nan"), 0.0])
    assert run_step(trainer, plain(trainer.features)) == step.Step(1.0, False, 0)
    assert reads == [3]


@pytest.mark.parametrize("plant", ["item", "tolist", "cpu", "bool", "mask"])
def test_a_second_wait_would_be_seen(reads: list[int], plant: str) -> None:
    waits = {
        "item": lambda x: x.sum().item(),
        "tolist": lambda x: x.sum().tolist(),
        "cpu": lambda x: x.cpu(),
        "bool": lambda x: bool(x.isfinite().all()),
        "mask": lambda x: x[x > 0],
    }
    trainer = trainer_of()

    def planted(part: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        spectrograms, frames = plain(trainer.features)(part)
        waits[plant](spectrograms)
        return spectrograms, frames

    with pytest.raises((RuntimeError, NotImplementedError)):
        run_step(trainer, planted)


class BlockingCopies(TorchDispatchMode):
    """Count of copies from the host to the device for which the host waits until all queued work is done."""

    count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, and count it if it is such a copy."""
        kwargs = kwargs or {}
        result = function(*args, **kwargs)
        if function is torch.ops.aten._to_copy.default and result.device == META and args[0].device.type == "cpu":
            self.count += not kwargs.get("non_blocking", False)
        return result


def test_no_copy_to_the_device_blocks(reads: list[int]) -> None:
    trainer = trainer_of(*AUGMENTED)
    with BlockingCopies() as copies:
        run_step(trainer, augmented(trainer))
    assert copies.count == 0
    with BlockingCopies() as copies:
        torch.zeros(2).to(META)
    assert copies.count == 1


def test_each_process_has_a_place_of_its_own_for_its_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = []
    monkeypatch.setattr(step.distributed, "size", lambda: 3)
    for rank, signal in enumerate((0, 15, 2)):
        monkeypatch.setattr(step.distributed, "rank", lambda rank=rank: rank)
        messages.append(step._message(torch.tensor(0.5), signal))
    assert sum(messages).tolist() == [1.5, 0, 15, 2]
