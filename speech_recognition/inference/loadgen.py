"""A run of LoadGen, the load generator of MLPerf inference, on a recognizer.

LoadGen asks for utterances from threads of its own, in queries whose size and moments follow from the scenario. They
are queued here, and one thread answers them: all that wait at one moment, the shortest first, in batches.
"""

import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import torch
from torch import Tensor

from speech_recognition.batches import Batch, collate
from speech_recognition.corpus.audio import read_pcm
from speech_recognition.corpus.manifest import Utterance
from speech_recognition.errors import InputError
from speech_recognition.evaluation import do_nothing
from speech_recognition.inference.loadgen_plan import MODEL, Plan
from speech_recognition.inference.packages import check_installed
from speech_recognition.recognizer import AnyRecognizer
from speech_recognition.runtime.progress import Progress

USER_CONF = "user.conf"
"""Name of the file with LoadGen's settings of a run, beside its logs."""

_NO_AUDIT = ""
"""Name of no file: LoadGen would else obey an audit.config in the current folder."""


class Library:
    """Waveforms of a manifest's utterances that are in memory, by index: LoadGen's query sample library."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        """Make a library with no waveform in memory."""
        self._utterances = utterances
        self._waveforms: dict[int, Tensor] = {}

    def __len__(self) -> int:
        """Return the number of utterances, in memory or not."""
        return len(self._utterances)

    def load(self, indices: Sequence[int]) -> None:
        """Read utterances into memory. Raises InputError for audio that cannot be read."""
        for index in indices:
            utterance = self._utterances[index]
            self._waveforms[index] = torch.from_numpy(read_pcm(utterance.audio, utterance.samples))

    def unload(self, indices: Sequence[int]) -> None:
        """Remove utterances from memory; an index may occur twice."""
        for index in indices:
            self._waveforms.pop(index, None)

    def batch(self, indices: Sequence[int]) -> Batch:
        """Return loaded utterances as a batch without transcripts."""
        nothing = torch.zeros(0, dtype=torch.int64)
        return collate([(index, self._waveforms[index], nothing) for index in indices])


def load_generator() -> Any:
    """Return the module of LoadGen. Raises InputError, which says how to install it, if it is missing."""
    check_installed("mlcommons-loadgen", "benchmark")
    import mlperf_loadgen

    return mlperf_loadgen


def measured_speed(recognizer: AnyRecognizer, library: Library, plan: Plan) -> float:
    """Return how many utterances per second `recognizer` transcribes in the batches of `plan`.

    The faster of two passes counts, which leaves out the warm-up and the time that other processes take. Raises
    InputError for audio that cannot be read.
    """
    timed = plan.timed_batches()
    library.load([index for indices in timed for index in indices])
    batches = [library.batch(indices) for indices in timed]
    seconds = []
    for _ in range(2):
        begin = time.perf_counter()
        for batch in batches:
            recognizer.transcribe(batch)
        seconds.append(time.perf_counter() - begin)
    return sum(map(len, timed)) / min(seconds)


def run(recognizer: AnyRecognizer, library: Library, plan: Plan, logs: Path, samples: int) -> None:
    """Have LoadGen test `recognizer` as `plan` and the file user.conf in the folder `logs` say; write its logs there.

    `samples` is how many utterances will take part, about, for the progress. Call it once in a process: LoadGen applies
    MLPerf's own settings to the first test only. Raises InputError for audio that cannot be read; LoadGen's threads
    then go on until the process ends.
    """
    loadgen = load_generator()
    events: SimpleQueue[Any] = SimpleQueue()

    def load(indices: Sequence[int]) -> None:
        """Load utterances into memory, as LoadGen asks from a thread of its own; an error becomes an event."""
        try:
            library.load(indices)
        except Exception as error:  # raised here, it would abort the process
            events.put(error)

    system = loadgen.ConstructSUT(events.put, do_nothing)
    source = loadgen.ConstructQSL(len(library), len(library), load, library.unload)
    settings, logging = _settings(loadgen, plan, logs / USER_CONF), _logging(loadgen, logs)

    def test() -> None:
        """Run the test; the event None says that it has ended."""
        loadgen.StartTestWithLogSettings(system, source, settings, logging, _NO_AUDIT)
        events.put(None)

    Thread(target=test, daemon=True).start()
    done = 0
    with Progress(plan.scenario, total=samples, unit="utterances") as progress:
        while waiting := _waiting(events):
            waiting.sort(key=lambda each: each.index)  # the manifest is sorted by length
            for start in range(0, len(waiting), plan.batch_size):
                batch = waiting[start : start + plan.batch_size]
                _answer(loadgen, batch, recognizer.transcribe(library.batch([each.index for each in batch])))
                progress.advance(max(0, min(len(batch), samples - done)))  # `samples` is an estimate
                done += len(batch)


def _settings(loadgen: Any, plan: Plan, configuration: Path) -> Any:
    """Return LoadGen's settings of a run. Raises InputError if LoadGen cannot read `configuration`."""
    settings = loadgen.TestSettings()
    if settings.FromConfig(str(configuration), MODEL, plan.scenario):
        raise InputError(f"{configuration}: cannot be read by LoadGen; free some disk")
    settings.scenario = getattr(loadgen.TestScenario, plan.scenario)
    settings.mode = {"performance": loadgen.TestMode.PerformanceOnly, "accuracy": loadgen.TestMode.AccuracyOnly}[
        plan.mode
    ]
    return settings


def _logging(loadgen: Any, folder: Path) -> Any:
    """Return LoadGen's settings for logs in `folder`, without its trace of every query."""
    logging = loadgen.LogSettings()
    logging.enable_trace = False
    logging.log_output.outdir = str(folder)
    return logging


def _waiting(events: "SimpleQueue[Any]") -> list[Any]:
    """Wait for a query and return the samples of all that have come, or none at the end. Raises an error among them."""
    samples: list[Any] = []
    while not samples or not events.empty():
        event = events.get()
        if isinstance(event, Exception):
            raise event
        if event is None:
            break
        samples += event
    return samples


def _answer(loadgen: Any, samples: Sequence[Any], texts: Sequence[str]) -> None:
    """Give LoadGen the transcript of each sample as ASCII bytes."""
    answers = [array("B", text.encode("ascii")) for text in texts]  # in memory until LoadGen has copied them
    responses = zip(samples, answers, strict=True)
    loadgen.QuerySamplesComplete(
        [loadgen.QuerySampleResponse(sample.id, *answer.buffer_info()) for sample, answer in responses]
    )
