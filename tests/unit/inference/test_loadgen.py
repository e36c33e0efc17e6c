"""Tests of what LoadGen's callbacks do. tests/integration/test_loadgen.py has LoadGen itself run."""

import dataclasses
import queue
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.corpus.manifest import Utterance, read_manifest
from speech_recognition.errors import InputError
from speech_recognition.inference import loadgen, packages
from speech_recognition.inference.loadgen_plan import Plan
from speech_recognition.recognizer import Recognizer, new_recognizer


@pytest.fixture
def utterances(tone_dataset: Path) -> list[Utterance]:
    return read_manifest(tone_dataset / "manifests" / "val.csv")


@pytest.fixture
def recognizer() -> Recognizer:
    chosen = settings.apply(params.mini(), ["model.conv_channels=2", "model.rnn_units=8"])
    recognizer = new_recognizer(chosen, 1, torch.device("cpu"))
    recognizer.model.eval()
    return recognizer


def test_a_batch_has_the_waveforms_of_the_samples_in_their_order(utterances: list[Utterance]) -> None:
    library = loadgen.Library(utterances)
    library.load([0, 3, 5])
    batch = library.batch([5, 0])
    assert batch.indices.tolist() == [5, 0]
    assert batch.lengths.tolist() == [utterances[5].samples, utterances[0].samples]
    assert batch.waveforms[0].count_nonzero() > 0 and batch.waveforms[1, utterances[0].samples :].count_nonzero() == 0


def test_unloaded_samples_leave_the_memory_even_if_named_twice(utterances: list[Utterance]) -> None:
    library = loadgen.Library(utterances)
    library.load([0, 1])
    library.unload([1, 1])
    library.batch([0])
    with pytest.raises(KeyError):
        library.batch([1])


def test_unreadable_audio_is_named(utterances: list[Utterance], tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    library = loadgen.Library([dataclasses.replace(utterances[0], audio=broken)])
    with pytest.raises(InputError, match=r"broken.wav"):
        library.load([0])


def test_the_measured_speed_counts_utterances(
    recognizer: Recognizer, utterances: list[Utterance], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 10.0, 10.0, 14.0])  # the second pass is the faster one
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    plan = Plan(scenario="Offline", mode="performance", official=False, utterances=6, batch_size=4)
    assert loadgen.measured_speed(recognizer, loadgen.Library(utterances), plan) == 6 / 4


def test_queries_that_wait_are_answered_together() -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    events.put(["a"])
    events.put(["b", "c"])
    assert loadgen._waiting(events) == ["a", "b", "c"]
    events.put(None)
    assert loadgen._waiting(events) == []


def test_an_error_in_loadgens_thread_ends_the_wait() -> None:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    events.put(InputError("a.wav: damaged"))
    with pytest.raises(InputError, match=r"^a.wav: damaged$"):
        loadgen._waiting(events)


def test_an_unreadable_configuration_is_named(tmp_path: Path) -> None:
    refusing = SimpleNamespace(TestSettings=lambda: SimpleNamespace(FromConfig=lambda *_: -2))
    plan = Plan(scenario="Server", mode="accuracy", official=False, utterances=6, batch_size=4)
    with pytest.raises(InputError, match=r"user.conf: cannot be read by LoadGen"):
        loadgen._settings(refusing, plan, tmp_path / "user.conf")


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"^benchmark: needs mlcommons-loadgen, .*; pip install mlcommons-loadgen$"):
        loadgen.load_generator()
