"""Pictures of utterances whose ids are somebody else's text."""

import dataclasses
from pathlib import Path

import params
from speech_recognition import settings
from speech_recognition.augment import Augmentation
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.features import Features
from speech_recognition.training.epochs import TrainingSet
from speech_recognition.training.pictures import draw_augmented


def test_an_id_is_neither_a_path_nor_a_formula(tone_dataset: Path, tmp_path: Path) -> None:
    first, *_ = read_manifest(tone_dataset / "manifests" / "val.csv")
    chosen = settings.apply(params.mini(), ["augmentation.pictures=1"])
    augmentation = Augmentation(chosen.augmentation, Features(chosen.features))
    renamed = [dataclasses.replace(first, id="../up/$\\frac$")]
    draw_augmented(tmp_path / "in", augmentation, TrainingSet(renamed, chosen, seed=1), 1)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == [".._up_$\\frac$.png"]
