import dataclasses
import json

import pytest

import params
from speech_recognition import settings
from speech_recognition.errors import InputError


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
        ("features.kind=mfc", "features.kind=mfc: must be one of linear, mel"),
        ("training.epochs=0", "training.epochs=0: must be from 1"),
        ("training.target_wer=-1", "training.target_wer=-1.0: must be from 0"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate=nan: must be above 0"),
        ("optimizer.clip_norm=0", "optimizer.clip_norm=0.0: must be above 0"),
        ("optimizer.epsilon=inf", "optimizer.epsilon=inf: must be above 0"),
        ("data.batch_size=0", "data.batch_size=0: must be from 1 to 1048576"),
        ("data.workers=-1", "data.workers=-1"),
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


@pytest.mark.parametrize("name", params.PRESETS)
def test_every_parameter_has_a_line_of_help(name: str) -> None:
    text = settings.describe(settings.preset(name))
    for section in dataclasses.fields(params.Params):
        if section.name == "preset":
            continue
        for field in dataclasses.fields(getattr(params.reference(), section.name)):
            line = text[text.index(f"  {section.name}.{field.name}=") :].splitlines()[1]
            assert len(line.split()) >= 2
