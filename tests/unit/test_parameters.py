"""Tests of parameters that are made in code: --set and files are tested in test_settings.py."""

import dataclasses

import pytest

from speech_recognition.parameters import Stage


@pytest.mark.parametrize(
    ("name", "value"), [("first_epoch", 0), ("batch_size", 0), ("momentum", 1.0), ("anneal_factor", 0.5)]
)
def test_a_stage_out_of_bounds_is_refused(name: str, value: float) -> None:
    stage = Stage(first_epoch=2, batch_size=8, momentum=0.9, anneal_factor=1.1)
    with pytest.raises(ValueError, match=rf"stages\.{name}={value}: must be"):
        dataclasses.replace(stage, **{name: value})
