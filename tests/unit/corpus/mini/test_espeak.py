"""Tests of the synthesiser's worker process."""

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from speech_recognition.corpus.mini.espeak import ESPEAK_RATE, SynthesisError, Synthesizer
from speech_recognition.errors import InputError

JOB = ("en-us+f3", 160, 50, "don't count the yellow birds")


@pytest.fixture(scope="module")
def synthesizer() -> Iterator[Synthesizer]:
    with Synthesizer() as synthesizer:
        yield synthesizer


def test_speech_has_a_likely_length_and_no_clipping(synthesizer: Synthesizer) -> None:
    samples = synthesizer.speak(*JOB)
    assert samples.dtype == np.int16
    assert 1 < len(samples) / ESPEAK_RATE < 4
    assert 2000 < np.abs(samples.astype(int)).max() < 32_767


def test_what_was_said_before_changes_nothing(synthesizer: Synthesizer) -> None:
    first = synthesizer.speak(*JOB)
    synthesizer.speak("en-gb-scotland+croak", 120, 70, "something else")
    np.testing.assert_array_equal(synthesizer.speak(*JOB), first)
    with Synthesizer() as another:
        np.testing.assert_array_equal(another.speak(*JOB), first)


@pytest.mark.parametrize(
    "change", [("en-us+f3", 160, 60), ("en-us+f3", 120, 50), ("en-us+m2", 160, 50), ("en-us-nyc+f3", 160, 50)]
)
def test_voice_rate_and_pitch_are_heard(synthesizer: Synthesizer, change: tuple[str, int, int]) -> None:
    assert not np.array_equal(synthesizer.speak(*change, JOB[3]), synthesizer.speak(*JOB))


@pytest.mark.parametrize("voice", ["en-gb", "xx+f3", "en-us+nobody"])
def test_an_unknown_voice_is_an_error_and_the_next_job_works(synthesizer: Synthesizer, voice: str) -> None:
    with pytest.raises(SynthesisError, match=r"nobody|SetVoiceByName"):
        synthesizer.speak(voice, 160, 50, "hello")
    assert len(synthesizer.speak(*JOB)) > 0


def test_it_works_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with Synthesizer() as synthesizer:
        assert len(synthesizer.speak(*JOB)) > 0


def test_the_library_stays_out_of_this_process(synthesizer: Synthesizer) -> None:
    synthesizer.speak(*JOB)
    assert "espeak" not in Path(f"/proc/{os.getpid()}/maps").read_text()


def test_a_worker_that_dies_is_an_error(synthesizer: Synthesizer) -> None:
    with Synthesizer() as doomed:
        doomed.speak(*JOB)
        doomed._worker.kill()
        doomed._worker.wait()
        with pytest.raises(SynthesisError, match="worker ended"):
            doomed.speak(*JOB)


def test_a_missing_package_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "espeakng_loader" else find_spec(name, *rest)
    )
    with pytest.raises(InputError, match=r"espeakng-loader\): run pip install '\.\[mini\]'"):
        Synthesizer()
