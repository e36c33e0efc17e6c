"""Tests of reading batches in worker processes."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
import torch

from speech_recognition import alphabet, orders, reading
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.errors import InputError, WorkerError
from speech_recognition.runtime.signals import SIGNALS


def test_batches_hold_the_recordings_padded(tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    loaded = list(
        reading.load_batches(
            utterances, orders.make_batches(range(len(utterances)), [0] * len(utterances), 7), workers=0
        )
    )
    assert [len(batch.lengths) for batch in loaded] == [7, 7, 7, 3]
    for batch in loaded:
        assert batch.waveforms.dtype == torch.int16
        for row, index in enumerate(batch.indices.tolist()):
            utterance = utterances[index]
            assert batch.lengths[row] == utterance.samples
            assert not batch.waveforms[row, utterance.samples :].any()
            text = batch.targets[row, : batch.target_lengths[row]]
            assert alphabet.decode(text.tolist()) == utterance.transcript


def test_an_empty_share_has_no_utterances(tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    for workers in (0, 1):
        some, none = reading.load_batches(utterances, [[3, 1], []], workers)
        assert (some.utterances, none.utterances) == (2, 0)


def test_worker_processes_give_the_same_batches(tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    order = [[3, 1], [7, 2, 5]]
    for here, there in zip(
        reading.load_batches(utterances, order, 0), reading.load_batches(utterances, order, 2), strict=True
    ):
        assert all(a.equal(b) for a, b in zip(here, there, strict=True))


def test_a_recording_that_vanished_is_named_also_from_a_worker(tone_dataset: Path) -> None:
    import dataclasses

    utterance = read_manifest(tone_dataset / "manifests" / "train.csv")[0]
    gone = dataclasses.replace(utterance, audio=Path("gone.wav"))
    for workers in (0, 1):
        with pytest.raises(InputError, match=r"^gone\.wav: ") as caught:
            list(reading.load_batches([gone], [[0]], workers))
        assert "\n" not in str(caught.value)


def numbers() -> list[int]:
    return [process.pid for process in multiprocessing.active_children() if process.pid]


def test_workers_outlive_signals_to_their_group_and_end_with_the_loader(tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    with closing(reading.load_batches(utterances, [[index] for index in range(24)], workers=2)) as loaded:
        found = [next(loaded)]
        for pid in numbers():
            for number in SIGNALS:
                os.kill(pid, number)
        found += [next(loaded) for _ in range(20)]
        begin = time.monotonic()
    assert len(found) == 21 and not numbers() and time.monotonic() - begin < 2


def test_a_killed_worker_is_named_by_the_next_batch_and_nowhere_else(tone_dataset: Path) -> None:
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    with closing(reading.load_batches(utterances, [[index] for index in range(24)], workers=2)) as loaded:
        next(loaded)
        victim = numbers()[0]
        os.kill(victim, signal.SIGKILL)
        time.sleep(0.1)  # the step, or the save, in which torch's own handler raises
        with pytest.raises(WorkerError, match=rf"^process {victim}, .* SIGKILL, .*lower data.workers \(2\)$"):
            list(loaded)
    assert not numbers()


def test_a_stopped_worker_is_not_waited_for_for_ever(tone_dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 0.5)
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.2)
    utterances = read_manifest(tone_dataset / "manifests" / "train.csv")
    with closing(reading.load_batches(utterances, [[index] for index in range(24)], workers=1)) as loaded:
        next(loaded)
        (victim,) = numbers()
        os.kill(victim, signal.SIGSTOP)
        with pytest.raises(WorkerError, match=rf"^no batch for 0.5 s from .*\({victim}\)"):
            list(loaded)
    assert not numbers()


def test_workers_end_with_their_parent(tone_dataset: Path) -> None:
    script = (
        "import multiprocessing, os, pathlib, signal, sys\n"
        "from speech_recognition import reading\n"
        "from speech_recognition.corpus.manifest import read_manifest\n"
        "loaded = reading.load_batches(read_manifest(pathlib.Path(sys.argv[1])), [[0]] * 24, workers=2)\n"
        "next(loaded)\n"
        "print(*(child.pid for child in multiprocessing.active_children()), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", script, str(tone_dataset / "manifests" / "train.csv")]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    workers = [Path("/proc", pid, "stat") for pid in result.stdout.split()]
    assert len(workers) == 2
    time.sleep(0.2)  # torch's workers look for their parent every five seconds
    assert all(not path.exists() or path.read_text().split()[2] == "Z" for path in workers)
