"""The training set of noise."""

from pathlib import Path

from speech_recognition.profiling.noise import noise_set
from speech_recognition.reading import load_batches
from speech_recognition.training.trainer import Trainer


def test_noise_has_as_many_utterances_as_asked_for_sorted_and_readable(trainer: Trainer, tmp_path: Path) -> None:
    made = noise_set(tmp_path, trainer.params, seed=1, count=6)
    assert made.samples == sorted(made.samples) and len(set(made.samples)) == 6
    batch = next(load_batches(made.utterances, [[0, 5]], workers=0))
    assert batch.lengths.tolist() == [made.samples[0], made.samples[5]] and made.samples[0] == 8 * 16_000
    assert batch.target_lengths.tolist() == [len(made.utterances[0].transcript), len(made.utterances[5].transcript)]
    assert all(8 * 13 <= len(each.transcript) <= 16 * 14 for each in made.utterances)


def test_many_utterances_share_few_recordings(trainer: Trainer, tmp_path: Path) -> None:
    made = noise_set(tmp_path, trainer.params, seed=1, count=500)
    assert len({each.id for each in made.utterances}) == 500
    assert len(list(tmp_path.iterdir())) == 17 and made.samples[-1] == 16 * 16_000
    assert len(made.plan(1).batches) == 125
