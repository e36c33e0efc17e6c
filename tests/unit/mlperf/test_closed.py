"""What `train` finds open before a run is what the closed rules refuse in its log."""

import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

import pytest

import params
from speech_recognition import settings
from speech_recognition.corpus.counts import Counts, SplitCounts
from speech_recognition.errors import InputError
from speech_recognition.mlperf.benchmarks import benchmarks
from speech_recognition.mlperf.closed import data_reasons, open_reasons
from speech_recognition.mlperf.described import described
from speech_recognition.parameters import Params
from tests.unit.mlperf.conftest import CLOSED


def decided(preset: str) -> Params:
    """Return the parameters of a preset as a run has them, which has replaced the precision auto."""
    return settings.apply(params.PRESETS[preset](), ["model.precision=fp32"])


def changed(preset: str) -> Iterator[tuple[str, Params]]:
    """Yield each parameter with other values in turn, as an assignment and as the parameters with it."""
    chosen = decided(preset)
    for section, kind in settings.sections().items():
        for field in dataclasses.fields(kind):
            name, hint = f"{section}.{field.name}", typing.get_type_hints(kind)[field.name]
            if name == "submission.division":  # the open division may be asked for
                continue
            now: Any = settings.value(chosen, name)
            if typing.get_origin(hint) is typing.Literal:
                others = [each for each in typing.get_args(hint) if each not in (now, "auto")]
            elif isinstance(now, bool):
                others = [not now]
            else:
                others = [f"{now}x"] if isinstance(now, str) else [2 * now or 1, now // 2 if hint is int else now / 9]
            for other in others:
                try:
                    yield f"{name}={other}", settings.apply(chosen, [f"{name}={other}"])
                except InputError:  # out of bounds, or it contradicts other parameters
                    continue


@pytest.mark.parametrize("preset", CLOSED)
@pytest.mark.usefixtures("rules_read_once")
def test_a_run_that_train_calls_closed_is_not_refused_by_the_rules(preset: str, good_log: Any, check: Any) -> None:
    """Change each parameter, and hold both answers to each other wherever the log states the change."""
    before = list(described(decided(preset), seed=7))
    opened = []
    for assignment, chosen in changed(preset):
        reasons, violations = open_reasons(chosen), check(good_log(chosen))
        assert reasons or not violations, (assignment, violations)
        if list(described(chosen, seed=7)) != before:
            assert bool(reasons) == bool(violations), (assignment, reasons)
        opened += [assignment] if reasons else []
    assert len(opened) > 50
    assert "data.batch_seconds=1" in opened and not any(each.startswith("data.workers") for each in opened)


@pytest.mark.parametrize("preset", CLOSED)
def test_the_presets_of_the_benchmarks_are_closed(preset: str) -> None:
    assert open_reasons(decided(preset)) == []


@pytest.mark.parametrize(
    ("preset", "assignments", "reasons"),
    [
        ("mini", ["optimizer.learning_rate=5"], ["=5.0 (opt_base_learning_rate must be from 0.0005 to 0.012)"]),
        ("mini", ["optimizer.name=adam"], ["optimizer.name=adam (opt_name must be adamw)"]),
        ("mini", ["optimizer.schedule=anneal"], ["(opt_learning_rate_decay_schedule must be one_cycle)"]),
        ("mini", ["optimizer.warmup_fraction=0.9"], ["(opt_learning_rate_warmup_epochs must be from 0.0 to 5.0)"]),
        ("mini", ["model.rnn_units=8", "data.batch_size=3"], ["model.rnn_units=8", "data.batch_size=3 (global"]),
        ("mini", ["augmentation.time_masks=2"], ["augmentation.time_masks=2"]),
        ("small", ["augmentation.time_masks=0"], ["augmentation.time_masks=0 (data_spec_augment_time_n must be 2)"]),
        ("reference", ["augmentation.tempo_min=1", "augmentation.tempo_max=1"], ["tempo_min=1.0 (", "tempo_max=1.0 ("]),
        ("mlperf_2018", [], ["the preset mlperf_2018, not reference"]),
        ("clean_small", [], ["the preset clean_small, not reference"]),
    ],
)  # fmt: skip
def test_each_reason_names_its_parameter_once(preset: str, assignments: list[str], reasons: list[str]) -> None:
    found = open_reasons(settings.apply(decided(preset), assignments))
    assert len(found) == len(reasons) and all(part in whole for part, whole in zip(reasons, found, strict=True)), found


def test_datasets_of_a_different_size_are_open() -> None:
    def counts(train: int, val: int) -> Counts:
        return Counts("all", *(SplitCounts(number, 1.0, 1.0) for number in (train, val, 0)))

    large = benchmarks()["deepspeech2"]
    assert data_reasons(large, counts(281_241, 5_567)) == []
    assert data_reasons(large, counts(281_242, 5_566)) == [
        "train_samples=281242 (must be from 280960 to 281241)",
        "eval_samples=5566 (must be 5567)",
    ]
