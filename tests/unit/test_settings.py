"""Tests of presets and of parameters from --set and from files."""

import dataclasses
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import params
from speech_recognition import settings
from speech_recognition.errors import InputError
from speech_recognition.parameters import Stage


def test_values_are_set_with_their_types() -> None:
    changed = settings.apply(
        params.mini(),
        ["optimizer.learning_rate=3e-4", "training.epochs=2", "model.bidirectional=false", "optimizer.name=sgd"],
    )
    assert changed.optimizer.learning_rate == 3e-4
    assert changed.training.epochs == 2
    assert changed.model.bidirectional is False
    assert changed.optimizer.name == "sgd"
    assert changed.data == params.mini().data


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("optimizer.learning_rat=1", "did you mean optimizer.learning_rate"),
        ("epochs=3", "training.epochs"),
        ("training.epochs", "must be section.name=value"),
        ("training.epochs=ten", "training.epochs=ten: must be a whole number"),
        ("training.epochs=1.5", "training.epochs=1.5: must be a whole number"),
        ("optimizer.learning_rate=fast", "optimizer.learning_rate=fast: must be a number"),
        ("model.bidirectional=maybe", "model.bidirectional=maybe: must be true or false"),
        ("features.kind=mfc", "features.kind=mfc: must be one of linear, power, mel, mfcc"),
        ("training.epochs=0", "training.epochs=0: must be from 1"),
        ("training.target_wer=-1", "training.target_wer=-1.0: must be from 0"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate=nan: must be above 0"),
        ("optimizer.clip_norm=0", "optimizer.clip_norm=0.0: must be above 0"),
        ("optimizer.epsilon=inf", "optimizer.epsilon=inf: must be above 0"),
        ("data.batch_size=0", "data.batch_size=0: must be from 1 to 1048576"),
        ("data.workers=-1", "data.workers=-1"),
        ("data.batch_seconds=-1", "data.batch_seconds=-1.0: must be from 0"),
        ("data.accumulation_steps=3", "data.accumulation_steps=3: must be a divisor of data.batch_size (16)"),
        ("features.mfcc_coefficients=65", "features.mfcc_coefficients=65: must be at most features.mel_bands (64)"),
        ("optimizer.end_learning_rate=1", "optimizer.end_learning_rate=1.0: must be at most optimizer.learning_rate"),
        ("model.activation_limit=0", "model.activation_limit=0.0: must be above 0"),
        ("stages=()", "no parameter 'stages'"),
        ("model.conv_padding=false", "model.conv_padding=False: must be true for spectrograms of fewer than 81 bins"),
        ("features.hop_seconds=0.5", "features.hop_seconds=0.5"),
        ("submission.org= ", "submission.org"),
        ("preset=reference", "no parameter 'preset'"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_in_one_line(assignment: str, message: str) -> None:
    with pytest.raises(InputError) as refusal:
        settings.apply(params.mini(), [assignment])
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_an_unknown_preset_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r"did you mean mini\?"):
        settings.preset("mimi")


@pytest.mark.parametrize("name", params.PRESETS)
def test_parameters_survive_json(name: str) -> None:
    chosen = settings.preset(name)
    assert settings.from_dict(json.loads(json.dumps(settings.to_dict(chosen)))) == chosen
    assert chosen.preset == name


def test_a_stage_whose_batch_cannot_be_accumulated_is_refused() -> None:
    stage = Stage(first_epoch=2, batch_size=8, momentum=0.9, anneal_factor=1.1)
    with pytest.raises(InputError, match=r"accumulation_steps=16: must be a divisor of every stage's batch size"):
        settings.apply(
            dataclasses.replace(params.mlperf_2018(), stages=(stage,)),
            ["data.batch_size=16", "data.accumulation_steps=16"],
        )


Damage = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda values: values["submission"].update(division="/tmp/x"), "submission.division='/tmp/x': must be one of"),
        (lambda values: values["submission"].update(division=["closed"]), "submission.division=['closed']: must be"),
        (lambda values: values.update(preset="../x"), "preset='../x': must be one of reference, mini"),
        (lambda values: values["data"].pop("order"), "parameter data.order is missing (a different version"),
        (lambda values: values.pop("model"), "parameter model is missing (a different version"),
        (lambda values: values["data"].update(later=1), "parameter data.later is unknown (a different version"),
        (lambda values: values.update(later={}), "parameter later is unknown (a different version"),
        (lambda values: values.update(data=[]), "data: must be an object"),
        (lambda values: values["data"].update(workers="2"), "data.workers='2': must be a whole number"),
        (lambda values: values["data"].update(workers=True), "data.workers=True: must be a whole number"),
        (lambda values: values["data"].update(workers=2.0), "data.workers=2.0: must be a whole number"),
        (lambda values: values["model"].update(bidirectional=1), "model.bidirectional=1: must be true or false"),
        (lambda values: values["optimizer"].update(epsilon="1"), "optimizer.epsilon='1': must be a number"),
        (lambda values: values["optimizer"].update(epsilon=math.nan), "optimizer.epsilon=nan: must be above 0"),
        (lambda values: values["data"].update(dataset="a\nb"), "data.dataset='a\\nb': must be printable"),
        (lambda values: values["data"].update(batch_size=0), "data.batch_size=0: must be from 1"),
        (lambda values: values.update(stages=7), "stages: must be a list"),
        (lambda values: values.update(stages=[{"first_epoch": 1}]), "parameter stages[0].batch_size is missing"),
    ],
)
def test_a_files_parameters_are_held_to_names_types_and_bounds(damage: Damage, message: str, tmp_path: Path) -> None:
    values = settings.to_dict(params.mini())
    damage(values)
    with pytest.raises(ValueError, match=re.escape(message)):
        settings.from_dict(values)
    (tmp_path / "params.json").write_text(json.dumps(values))
    with pytest.raises(InputError, match=re.escape(f"{tmp_path / 'params.json'}: {message}")):
        settings.read_params(tmp_path / "params.json")


def test_a_whole_number_is_a_number_too() -> None:
    values = settings.to_dict(params.mini())
    values["training"]["target_wer"] = 23
    assert settings.from_dict(values) == params.mini()
