"""The help of `train`: each parameter once, within a length that somebody reads."""

import dataclasses
import re

import pytest

import params
from speech_recognition import cli, settings
from speech_recognition.commands import WIDTH
from speech_recognition.commands.parameter_help import FOLLOWED, FOLLOWERS, parameters_help


def paragraph(name: str) -> str:
    """Return the help's text on one parameter, its lines joined."""
    lines = parameters_help().splitlines()
    begin = next(index for index, line in enumerate(lines) if line.startswith(f"  {name}="))
    end = next((index for index in range(begin + 1, len(lines)) if not lines[index].startswith("   ")), len(lines))
    return " ".join(line.strip() for line in lines[begin:end])


def test_every_parameter_stands_there_once_with_its_meaning() -> None:
    text = parameters_help()
    for section, kind in settings.sections().items():
        for field in dataclasses.fields(kind):
            assert text.count(f"  {section}.{field.name}=") == 1
            assert len(paragraph(f"{section}.{field.name}").partition(": ")[2].split()) >= 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "data.batch_size",
            "data.batch_size=8 (reference, tensorflow 128; mini, small 16; clean_small 32): utterances in a training"
            " step over all devices (global batch size); 1 to 1048576",
        ),
        ("features.window", "features.window=hamming (tensorflow hann): shape of the window; hamming or hann"),
        ("model.conv_bias", "model.conv_bias=true (tensorflow false): bias in the convolutions"),
    ],
)
def test_a_parameter_has_its_default_the_presets_that_differ_and_its_bounds(name: str, expected: str) -> None:
    assert paragraph(name) == expected


def test_every_value_of_every_preset_can_be_told() -> None:
    followed = params.PRESETS[FOLLOWED]()
    for name, make in params.PRESETS.items():
        chosen = make()
        for section, kind in settings.sections().items():
            for field in dataclasses.fields(kind):
                values = [getattr(getattr(each, section), field.name) for each in (chosen, followed)]
                told = name in re.findall(r"\w+", paragraph(f"{section}.{field.name}").partition(": ")[0])
                assert told == (values[0] != (values[1] if name in FOLLOWERS else field.default)), (name, field.name)


def test_the_help_of_train_fits(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["train", "--help"])
    lines = capsys.readouterr().out.splitlines()
    assert end.value.code == 0
    assert len(lines) <= 160
    assert max(map(len, lines)) <= WIDTH
