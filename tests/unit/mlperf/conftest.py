"""Fixtures with a good log, written by RunLog, that the tests damage and check."""

import copy
import dataclasses
import functools
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import params
from speech_recognition import settings
from speech_recognition.commands import REFERENCES
from speech_recognition.mlperf.benchmarks import benchmark_of, benchmarks
from speech_recognition.mlperf.check import Division, Violation, check_log
from speech_recognition.mlperf.run_log import RunLog
from speech_recognition.model import DeepSpeech2
from speech_recognition.parameters import AugmentationParams, ModelParams, Params

_LINES = benchmarks()["deepspeech2_mini"].lines
LIBRISPEECH, MINI = (281_241, 5_567), (_LINES["train_samples"]["equals"], _LINES["eval_samples"]["equals"])
SMALL = (1_519, 1_089)
"""Number of training and of evaluation utterances."""
CLOSED = [each.preset for each in benchmarks().values()]
"""Presets of the closed division."""
MINI_SHA256 = json.loads((REFERENCES / "mini.json").read_text())["sha256"]
MARK = ":::MLLOG "

AUGMENTED = dataclasses.replace(
    params.mini(),
    augmentation=AugmentationParams(
        tempo_min=0.9, speed_max=1.1, gain_min_db=-3.0, noise_folder="noise", frequency_masks=2, time_masks=10
    ),
)
"""Preset mini with every augmentation that has log lines."""


@functools.cache
def shapes_of(model_params: ModelParams, bins: int) -> dict[str, list[int]]:
    """Return the shape of each tensor of a model for spectrograms of so many `bins`."""
    with torch.device("meta"):
        model = DeepSpeech2(model_params, bins)
    return {name: list(tensor.shape) for name, tensor in model.named_parameters()}


class LogLines(list[str]):
    """Lines of a log, MLLOG and plain ones."""

    def records(self) -> list[tuple[int, str, dict[str, Any]]]:
        """Return the index, the key and the content of each MLLOG line."""
        parsed = [(index, json.loads(line.removeprefix(MARK))) for index, line in enumerate(self) if MARK in line]
        return [(index, record["key"], record) for index, record in parsed]

    def only_mllog(self) -> "LogLines":
        return LogLines(line for line in self if MARK in line)

    def edited(
        self, which_key: str, which: int = 0, metadata: dict[str, Any] | None = None, **fields: Any
    ) -> "LogLines":
        """Return the lines with `fields` and `metadata` changed in the record number `which` of a key."""
        index, _, record = [entry for entry in self.records() if entry[1] == which_key][which]
        changed = record | {"metadata": record["metadata"] | (metadata or {})} | fields
        return LogLines([*self[:index], MARK + json.dumps(changed), *self[index + 1 :]])

    def with_line(self, after: str, key: str, value: object) -> "LogLines":
        """Return the lines with a line of `key` behind the last record of the key `after`, at the same time."""
        index, _, record = [entry for entry in self.records() if entry[1] == after][-1]
        added = record | {"key": key, "value": value}
        return LogLines([*self[: index + 1], MARK + json.dumps(added), *self[index + 1 :]])

    def without_metadata(self, which_key: str) -> "LogLines":
        """Return the lines with empty metadata in the first record of a key."""
        index, _, record = next(entry for entry in self.records() if entry[1] == which_key)
        return LogLines([*self[:index], MARK + json.dumps(record | {"metadata": {}}), *self[index + 1 :]])


def build_log(
    preset: str | Params = "mini",
    counts: tuple[int, int] | None = None,
    wers: Sequence[float] | None = None,
    division: str = "closed",
) -> LogLines:
    """Return the log of a successful run with `wers` as its evaluations' results, and with some plain lines.

    `preset` is a name, "augmented", or parameters. Without `wers`, the second evaluation meets the target exactly.
    """
    if isinstance(preset, str):
        preset = AUGMENTED if preset == "augmented" else params.PRESETS[preset]()
    chosen = settings.apply(preset, ["model.precision=fp32"])  # `train` replaces auto before it writes the log
    submission = dataclasses.replace(chosen.submission, division=division)
    train, evaluation = counts or {"mini": MINI, "small": SMALL}.get(chosen.preset, LIBRISPEECH)
    target = chosen.training.target_wer
    stream = io.StringIO()
    with RunLog(stream) as log:
        log.cache_cleared(True)
        with log.initialization(dataclasses.replace(chosen, submission=submission), seed=7) as init:
            stream.write("params: a plain line\n")
            init.weights(shapes_of(chosen.model, chosen.features.bins))
            if division == "closed":
                init.dataset(benchmark_of(chosen.preset).option, MINI_SHA256)
        with log.run() as run:
            run.samples(train, evaluation)
            for epoch, wer in enumerate(wers or (target + 30.2, target), start=1):
                with log.epoch(epoch, (epoch - 1) * train, epoch * train):
                    pass
                with log.evaluation(epoch, samples=epoch * train) as result:
                    result.accuracy(wer)
                stream.write(f"epoch {epoch}: WER {wer}\n")
            run.success()
    return LogLines(stream.getvalue().splitlines())


@pytest.fixture(scope="session")
def good_log() -> Callable[..., LogLines]:
    return build_log


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., list[Violation]]:
    """Return a function that checks lines as the log of a division."""

    def check_lines(lines: Sequence[str], division: Division = "closed") -> list[Violation]:
        path = tmp_path / "speech_ds2.out"
        path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return check_log(path, division)

    return check_lines


_PARSED: dict[str, Any] = {}
"""Content of each rules file that `rules_read_once` has seen."""


@pytest.fixture
def rules_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parse each rules file once, for tests that check hundreds of logs."""
    load = yaml.load

    def load_once(stream: Any, Loader: Any) -> Any:
        if stream.name not in _PARSED:
            _PARSED[stream.name] = load(stream, Loader=Loader)
        return copy.deepcopy(_PARSED[stream.name])

    monkeypatch.setattr(yaml, "load", load_once)
