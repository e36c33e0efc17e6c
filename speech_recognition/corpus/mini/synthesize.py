"""Synthesis of the embedded corpus in LibriSpeech's layout, to be prepared like LibriSpeech.

The samples are the same on every run, with any number of workers, on every x86-64 processor.
The bytes of the FLAC files depend on libFLAC's version, although their samples do not; the
bytes of the processed WAV files are always the same.
"""

import io
import shutil
import threading
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from speech_recognition.corpus.counts import SPLITS, Counts, read_counts
from speech_recognition.corpus.dataset import check_replaceable
from speech_recognition.corpus.librispeech.prepare import prepare_librispeech
from speech_recognition.corpus.manifest import read_manifest
from speech_recognition.corpus.mini.espeak import Synthesizer
from speech_recognition.corpus.mini.plan import PlannedUtterance, Speaker, planned_utterances
from speech_recognition.corpus.mini.resample import coefficients, resample
from speech_recognition.corpus.parallel import in_threads
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_folder, check_writable, held
from speech_recognition.parameters import SAMPLE_RATE
from speech_recognition.runtime.progress import Progress

_BYTES_PER_UTTERANCE = 90_000
"""Disk space of an utterance, rounded up: of its FLAC file, and again of its WAV file (68 kB on average) and text."""


def synthesize(folder: Path, workers: int | None = None) -> None:
    """Write the embedded corpus in LibriSpeech's layout to `folder`, completely or not at all.

    `workers` synthesisers run in parallel, by default one per processor; the result does not
    depend on their number. Raises InputError if `folder` is not empty or cannot be written, or if
    the synthesiser is not installed.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"--output {folder}: exists; choose a new folder or remove it first")
    utterances = planned_utterances()
    check_writable(folder, _BYTES_PER_UTTERANCE * len(utterances), "--output")
    with atomic_folder(folder) as partial:
        write_corpus(utterances, partial, workers)


def write_corpus(utterances: Sequence[PlannedUtterance], folder: Path, workers: int | None) -> None:
    """Write the audio and transcripts of `utterances`, and SPEAKERS.TXT, into an existing folder."""
    coefficients()  # fills the cache, so that the threads do not all compute them at once
    # One chapter at a time for each thread: of at most 10 utterances, so that no thread works long after the others.
    chapters = [list(chapter) for _, chapter in groupby(utterances, key=lambda each: (each.speaker, each.chapter))]
    with (
        _SynthesizerPool() as pool,
        Progress("synthesize", len(utterances), "utterances") as progress,
        in_threads(lambda chapter: _write_chapter(chapter, folder, pool.get()), chapters, workers) as counts,
    ):
        for count in counts:
            progress.advance(count)
    _write_speakers(utterances, folder)


class _SynthesizerPool:
    """One synthesiser for each thread that asks, all ended with the block."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: list[Synthesizer] = []

    def __enter__(self) -> "_SynthesizerPool":
        return self

    def __exit__(self, *_: object) -> None:
        for synthesizer in self._all:
            synthesizer.close()

    def get(self) -> Synthesizer:
        """Return the calling thread's synthesiser, which is started on first use."""
        synthesizer: Synthesizer | None = getattr(self._local, "synthesizer", None)
        if synthesizer is None:
            synthesizer = self._local.synthesizer = Synthesizer()
            with self._lock:
                self._all.append(synthesizer)
        return synthesizer


def _write_chapter(chapter: Sequence[PlannedUtterance], folder: Path, synthesizer: Synthesizer) -> int:
    """Write a chapter's FLAC files and its transcript file; return the number of utterances."""
    speaker, number = chapter[0].speaker, chapter[0].chapter
    place = folder / speaker.subset / str(speaker.number) / str(number)
    place.mkdir(parents=True)
    lines = []
    for each in chapter:
        content = io.BytesIO()  # libsndfile's own error for a full disk says something else
        soundfile.write(content, _recording(each, synthesizer), SAMPLE_RATE, subtype="PCM_16", format="FLAC")
        (place / f"{each.utterance_id}.flac").write_bytes(content.getbuffer())
        lines.append(f"{each.utterance_id} {each.transcript}\n")
    transcripts = place / f"{speaker.number}-{number}.trans.txt"
    transcripts.write_text("".join(lines), encoding="utf-8", newline="\n")
    return len(chapter)


def _recording(utterance: PlannedUtterance, synthesizer: Synthesizer) -> NDArray[np.int16]:
    """Return an utterance as int16 [samples] at SAMPLE_RATE: its phrases between its silences, over noise."""
    voice = utterance.speaker
    first, *others = (_silence(milliseconds) for milliseconds in utterance.silences)
    pieces = [first]
    for phrase, silence in zip(utterance.phrases, others, strict=True):
        # Lower case, because the synthesiser may spell out a word in capitals.
        spoken = synthesizer.speak(voice.voice, voice.rate, voice.pitch, phrase.lower())
        pieces += [resample(spoken), silence]
    samples = np.concatenate(pieces).astype(np.int32)
    return (samples + _noise(utterance, len(samples))).clip(-32_768, 32_767).astype(np.int16)


def _silence(milliseconds: int) -> NDArray[np.int16]:
    return np.zeros(milliseconds * SAMPLE_RATE // 1000, np.int16)


def _noise(utterance: PlannedUtterance, count: int) -> NDArray[np.int32]:
    """Return `count` samples of the speaker's background noise, uniform up to its largest value, different for each id.

    numpy guarantees the raw sequence of a bit generator across versions (NEP 19), that of its distributions not.
    """
    loudest = utterance.speaker.noise
    raw = np.random.Philox(key=utterance.speaker.number << 32 | utterance.chapter << 16 | utterance.number).random_raw(
        count
    )
    return (raw % (2 * loudest + 1)).astype(np.int32) - loudest


def _write_speakers(utterances: Sequence[PlannedUtterance], folder: Path) -> None:
    """Write SPEAKERS.TXT: a line per speaker, columns separated by bars as in LibriSpeech's file of this name."""
    speakers: list[Speaker] = sorted({each.speaker for each in utterances}, key=lambda speaker: speaker.number)
    lines = ["; speaker | subset | synthesiser's voice | words per minute | pitch | noise\n"]
    lines += [
        f"{each.number} | {each.subset} | {each.voice} | {each.rate} | {each.pitch} | {each.noise}\n"
        for each in speakers
    ]
    (folder / "SPEAKERS.TXT").write_text("".join(lines), encoding="utf-8", newline="\n")


def make_mini(data_dir: Path, workers: int | None = None) -> Counts:
    """Synthesise and prepare the embedded corpus in `data_dir`, unless it is complete there; return its counts.

    It is complete if the manifests list every utterance and all recordings exist; only `verify` checks
    the bytes. Raises InputError if `data_dir` holds anything else or cannot be written, or if the
    synthesiser is not installed.
    """
    if _is_complete(data_dir):
        return read_counts(data_dir)
    check_replaceable(data_dir, "mini")
    check_writable(data_dir, 2 * _BYTES_PER_UTTERANCE * len(planned_utterances()), "--data-dir")
    # On the dataset's own disk, which has just been checked for room. /tmp may be in memory.
    raw = data_dir.absolute().with_name(f".{data_dir.name}.raw")
    busy = f"{data_dir}: another process is making it; wait for it"
    if raw.exists():  # left by a process that was killed, or in use by one that is running
        with held(raw, busy):
            shutil.rmtree(raw)
    synthesize(raw, workers)
    try:
        with held(raw, busy):
            return prepare_librispeech(raw, data_dir, "mini", workers)
    finally:
        shutil.rmtree(raw, ignore_errors=True)


def _is_complete(data_dir: Path) -> bool:
    """Return whether `data_dir` holds the embedded corpus with every utterance listed and every recording there."""
    try:
        dataset = read_counts(data_dir).dataset
        found = [row.id for split in SPLITS for row in read_manifest(data_dir / "manifests" / f"{split}.csv")]
    except InputError:
        return False
    return dataset == "mini" and set(found) == {each.utterance_id for each in planned_utterances()}
