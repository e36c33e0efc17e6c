"""The recorded window: which steps are in it, and what its trace says."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.profiling.calls import OTHER
from speech_recognition.profiling.reading import read_profile
from speech_recognition.profiling.table import by_layer
from speech_recognition.profiling.window import captured_range, record, torch_recording
from speech_recognition.training.epochs import TrainingSet
from speech_recognition.training.trainer import Trainer


def test_the_recording_begins_after_the_warm_up_and_ends_with_the_last_step(
    trainer: Trainer, train_set: TrainingSet
) -> None:
    steps = []

    @contextmanager
    def recording() -> Iterator[None]:
        steps.append(trainer.tally.steps)
        yield
        steps.append(trainer.tally.steps)

    record(trainer, train_set, 2, 3, recording())
    assert steps == [2, 5]


def test_a_trace_of_torch_tells_the_time_of_each_layer(
    trainer: Trainer, train_set: TrainingSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KINETO_LOG_LEVEL", "5")
    path = tmp_path / "new" / "trace.json.gz"
    about = {"preset": "mini", "batch_size": 4, "steps": 2}
    record(trainer, train_set, 1, 2, torch_recording(trainer, path, about))
    profile = read_profile(path)
    assert profile.about.startswith("mini, batch 4, 2 steps of ")
    groups = {group.name: group for group in by_layer(profile)}
    layers = ["features", "conv.0", "conv.1", "rnn.0", "rnn.1", "norm", "linear", "loss", "optimizer"]
    assert [*groups] == [*layers, "other"]
    assert all(groups[name].phases["forward"] > 0 for name in layers[:-1])
    assert all(groups[name].phases["backward"] > 0 for name in layers[1:-1])
    assert groups["optimizer"].phases["update"] == groups["optimizer"].ms > 0
    # Also those in the thread of a GRU's second direction.
    products = [call for call in profile.calls if call.kernel in ("aten::addmm", "aten::addmm_", "aten::mm")]
    assert len(products) > 50 and OTHER not in {call.place for call in products}
    assert [child.name for child in path.parent.iterdir()] == ["trace.json.gz"]


class Runtime:
    """Stand-in for the CUDA runtime."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return lambda: self.calls.append(name) or 0


def test_nsys_and_ncu_are_started_and_stopped_even_if_a_step_fails(
    trainer: Trainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = Runtime()
    monkeypatch.setattr("torch.cuda.cudart", lambda: runtime)
    monkeypatch.setattr("torch.cuda.check_error", lambda _: None)
    with pytest.raises(RuntimeError, match="memory"), captured_range(trainer):
        assert runtime.calls == ["cudaProfilerStart"]
        raise RuntimeError("memory")
    assert runtime.calls == ["cudaProfilerStart", "cudaProfilerStop"]
