"""Pictures of utterances whose ids are somebody else's text."""

import dataclasses
from pathlib import Path

import params
from speech_recognition.augment import Augmentation
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.features import Features
from speech_recognition.training.pictures import draw_augmented


def test_an_id_is_neither_a_path_nor_a_formula(tone_dataset: Path, tmp_path: Path) -> None:
    first, *_ = read_manifest(tone_dataset / "manifests" / "val.csv")
    chosen = params.AugmentationParams(pictures=1)
    augmentation = Augmentation(chosen, Features(params.mini().features), 1, lambda *_: True)
    draw_augmented(tmp_path / "in", augmentation, [dataclasses.replace(first, id="../up/$\\frac$")], 1)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == [".._up_$\\frac$.png"]
