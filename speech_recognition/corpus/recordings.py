"""Anyone's own recordings -> the processed dataset: any format, rate and number of channels that libsndfile reads.

Channels are averaged, other rates are converted by the SoX resampler at its highest
quality, a recording that exceeds 16 bits is scaled down as a whole. Transcripts are
upper-cased; one that leaves the alphabet is the user's to spell out, and is reported.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from params import SAMPLE_RATE
from speech_recognition.alphabet import unknown_symbols
from speech_recognition.corpus.audio import LONGEST_SECONDS
from speech_recognition.corpus.chunks import unclaimed_bytes
from speech_recognition.corpus.counts import Counts, read_counts
from speech_recognition.corpus.dataset import DatasetWriter, Recording, disk_bytes, new_dataset
from speech_recognition.corpus.manifest import (
    Source,
    base_folder,
    check_id,
    check_transcript,
    find_source,
    repeated,
)
from speech_recognition.corpus.manifest_forms import read_rows
from speech_recognition.corpus.parallel import in_threads
from speech_recognition.errors import InputError
from speech_recognition.files import open_regular, resolved
from speech_recognition.runtime.progress import Progress

_SPLIT_OF_WORD = {"train": "train", "val": "val", "dev": "val", "test": "test"}

_REPORTED = 10
"""Transcripts that a message names; it gives the number of all."""

_FULL_SCALE = 32_767

_MOST_VALUES = LONGEST_SECONDS * 96_000
"""Of all channels together, since they are held in memory: an hour of stereo at 48 kHz."""

_UNKNOWN_LENGTH = 0x7FFF_0000
"""A program that writes to a pipe cannot know the length, and promises this much or more."""

_PROMISE = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)$", re.MULTILINE)
"""What libsndfile remarks where a WAV, AIFF or AU header promises another length than there is."""


def prepare_recordings(manifests: Sequence[Path], data_dir: Path, workers: int | None = None) -> Counts:
    """Process the recordings of manifests of any form into `data_dir`, which is there whole or not at all.

    A manifest's name tells its split by a word: train, val or dev, test. `workers` threads
    convert, by default one for each processor. Raises InputError for a manifest, recording,
    transcript or output folder that cannot be used.
    """
    sources = [(split_of_manifest(path), source) for path in manifests for source in _read(path)]
    _check(sources)
    for _, source in sources:
        if source.audio.resolve().is_relative_to(resolved(data_dir)):
            raise InputError(f"{source.where}: {source.audio} lies in --data-dir, which is replaced; choose another")
    samples = sum(_expected_samples(source.audio) for _, source in sources)
    with new_dataset(data_dir, "custom", disk_bytes(len(sources), samples)) as writer:
        writer.finish("custom", _convert(sources, writer, workers))
    return read_counts(data_dir)


def split_of_manifest(path: Path) -> str:
    """The split that a manifest's name tells. Raises InputError if it tells none or several."""
    found = {_SPLIT_OF_WORD[word] for word in re.split(r"[\W_]+", path.name.lower()) if word in _SPLIT_OF_WORD}
    if len(found) != 1:
        raise InputError(f"{path}: its name must tell the split by one word: train, val or dev, test; rename it")
    return found.pop()


def _read(manifest: Path) -> Iterator[Source]:
    base, empty = base_folder(manifest), True
    for row in read_rows(manifest):
        empty = False
        yield find_source(row, base, manifest)
    if empty:
        raise InputError(f"{manifest}: no utterances; give another manifest")


def _check(sources: Sequence[tuple[str, Source]]) -> None:
    seen: set[str] = set()
    outside = []
    for _, source in sources:
        if source.id in seen:
            raise repeated(source)
        seen.add(source.id)
        check_id(source.id, source.where)
        unknown = unknown_symbols(source.transcript)
        if unknown:
            outside.append(f"{source.where} {source.id} ({' '.join(map(repr, unknown))})")
        else:
            check_transcript(source.transcript, source.id, source.where)
    if outside:
        named = ", ".join(outside[:_REPORTED]) + (", ..." if len(outside) > _REPORTED else "")
        raise InputError(
            f"{len(outside)} transcripts leave the alphabet (A to Z, apostrophe, space): {named};"
            " spell them out in letters"
        )


def _convert(sources: Sequence[tuple[str, Source]], writer: DatasetWriter, workers: int | None) -> Iterator[Recording]:
    def convert(item: tuple[str, Source]) -> Recording:
        split, source = item
        samples = read_any(source.audio)
        writer.write_audio(split, source.id, samples)
        text = " ".join(source.transcript.split())
        return Recording(source.id, text, len(samples), source.speaker, source.subset, split)

    with (
        Progress("prepare", len(sources), "recordings") as progress,
        in_threads(convert, sources, workers) as recordings,
    ):
        for each in recordings:
            yield each
            progress.advance(1)


def read_any(path: Path) -> NDArray[np.int16]:
    """Samples of a recording as 16 kHz, one channel, 16 bits; one that has this form already is not changed.

    Computed in float64, so that rounding to 16 bits hides what processors do differently.
    Raises InputError if libsndfile cannot read it, if it is empty, truncated, or longer than
    an hour, has samples that its header leaves out, or values that are no numbers.
    """
    promised = _info(path).frames
    try:
        channels, rate = soundfile.read(os.fsencode(path), dtype="float64", always_2d=True)
    except (soundfile.LibsndfileError, TypeError) as error:
        raise _unreadable(path, error) from None
    if len(channels) != promised:
        raise InputError(f"{path}: truncated, {len(channels)} of {promised} samples; fetch it again or remove its row")
    if not np.isfinite(channels).all():
        raise InputError(f"{path}: holds samples that are no finite numbers; make it again or remove its row")
    samples = channels.mean(axis=1)
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE, quality="VHQ")
    samples *= _FULL_SCALE + 1
    if len(samples) == 0:
        raise InputError(f"{path}: too short for a sample at {SAMPLE_RATE} Hz; remove its row")
    if np.rint(samples).max(initial=0) > _FULL_SCALE or np.rint(samples).min(initial=0) < -_FULL_SCALE - 1:
        samples *= _FULL_SCALE / np.abs(samples).max()
    rounded: NDArray[np.int16] = np.rint(samples).astype(np.int16)
    return rounded


def check_recording(path: Path) -> None:
    """Raise InputError if the header of a recording shows that `read_any` would."""
    _info(path)


def _expected_samples(path: Path) -> int:
    """Samples of the recording at 16 kHz, by its header; at most one too many."""
    info = _info(path)
    return int(info.frames * SAMPLE_RATE // info.samplerate) + 1


def _info(path: Path) -> "soundfile._SoundFileInfo":
    try:
        with open_regular(path) as file:
            unclaimed = unclaimed_bytes(file)
        info = soundfile.info(os.fsencode(path), verbose=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from None
    except (soundfile.LibsndfileError, TypeError) as error:  # a TypeError of a name ending in .raw
        raise _unreadable(path, error) from None
    for promised, there in _PROMISE.findall(info.extra_info):
        if int(there) < int(promised) < _UNKNOWN_LENGTH:
            raise InputError(f"{path}: truncated, {there} of {promised} bytes; fetch it again or remove its row")
    if unclaimed:
        raise InputError(
            f"{path}: its header promises {info.frames} samples, after which {unclaimed} bytes belong to nothing;"
            " convert it again or remove its row"
        )
    if not 0 < info.frames <= LONGEST_SECONDS * info.samplerate:
        raise InputError(
            f"{path}: {info.frames} samples at {info.samplerate} Hz, must be some, of an hour at most; remove its row"
        )
    if info.frames * info.channels > _MOST_VALUES:
        raise InputError(
            f"{path}: {info.frames} samples of {info.channels} channels, must be {_MOST_VALUES} together at most;"
            " convert it to 16 kHz and one channel"
        )
    return info


def _unreadable(path: Path, error: Exception) -> InputError:
    reason = getattr(error, "error_string", "it has no header")
    return InputError(f"{path}: not a recording that libsndfile reads ({reason}); convert it to WAV")
