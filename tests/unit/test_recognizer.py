"""Features, model and decoder as one thing."""

from pathlib import Path

import pytest
import torch

import params
from speech_recognition import settings
from speech_recognition.batches import Batch, nothing
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.reading import load_batches
from speech_recognition.recognizer import load_recognizer, new_recognizer, output_lengths

SMALL = settings.apply(params.mini(), ["model.conv_channels=2", "model.rnn_units=8"])
CPU = torch.device("cpu")


@pytest.fixture
def batch(tone_dataset: Path) -> Batch:
    utterances = read_manifest(tone_dataset / "manifests" / "val.csv")
    return next(load_batches(utterances, [[0, 3, 5]], workers=0))


def test_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(11)
    one = new_recognizer(SMALL, 4, CPU).model.state_dict()
    drawn = torch.rand(1)
    torch.manual_seed(11)
    assert drawn.equal(torch.rand(1)), "the program's own random numbers are left alone"
    other, different = (new_recognizer(SMALL, seed, CPU).model.state_dict() for seed in (4, 5))
    assert all(value.equal(other[name]) for name, value in one.items())
    assert not one["linear.weight"].equal(different["linear.weight"])


def test_lengths_are_those_of_the_log_probabilities(batch: Batch) -> None:
    recognizer = new_recognizer(SMALL, 4, CPU)
    log_probs, lengths = recognizer.log_probs(batch)
    assert lengths.tolist() == recognizer.output_lengths(batch.lengths).tolist()
    assert log_probs.shape[:2] == (int(lengths.max()), 3)
    assert (output_lengths(SMALL, batch.lengths, torch.full((3,), 2.0)) < lengths).all(), "at twice the tempo"


def test_a_loaded_recognizer_hears_what_the_saved_one_heard(batch: Batch) -> None:
    trained = new_recognizer(SMALL, 4, CPU)
    torch.nn.init.normal_(trained.model.linear.weight, std=5, generator=torch.Generator().manual_seed(0))
    trained.model.eval()
    loaded = load_recognizer(SMALL, trained.model.state_dict(), CPU)
    assert not loaded.model.training
    texts = loaded.transcribe(batch)
    assert texts == trained.transcribe(batch) and any(texts)


def test_weights_of_other_shapes_are_refused() -> None:
    weights = new_recognizer(SMALL, 4, CPU).model.state_dict()
    with pytest.raises(ValueError, match="the weights do not fit the parameters"):
        load_recognizer(params.mini(), weights, CPU)
    del weights["linear.weight"]
    with pytest.raises(ValueError, match="the weights do not fit the parameters"):
        load_recognizer(SMALL, weights, CPU)


def test_the_placeholder_of_a_process_without_work_has_no_text() -> None:
    recognizer = new_recognizer(SMALL, 4, CPU)
    recognizer.model.eval()
    assert recognizer.transcribe(nothing()) == [""]
