"""Conversion of a user's own recordings to the processed dataset.

A recording may have any format, rate and number of channels that libsndfile reads. Channels
are averaged, rates converted by the SoX resampler at its highest quality, and a recording
whose peak exceeds 16 bits is scaled down as a whole. Transcripts are upper-cased. A transcript
with a character outside the alphabet is refused: only its author knows how "2nd" was spoken.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from speech_recognition.alphabet import unknown_symbols
from speech_recognition.corpus.audio import LONGEST_SECONDS
from speech_recognition.corpus.chunks import UNKNOWN_LENGTH, damaged_page, unclaimed_bytes
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
from speech_recognition.parameters import SAMPLE_RATE
from speech_recognition.runtime import c_messages
from speech_recognition.runtime.progress import Progress

_SPLIT_OF_WORD = {"train": "train", "val": "val", "dev": "val", "test": "test"}
"""Split that a word in a manifest's name stands for."""

_REPORTED = 10
"""Most transcripts that the message about the alphabet lists; it states the number of all."""

_FULL_SCALE = 32_767
"""Largest value of a 16-bit sample."""

_MOST_VALUES = LONGEST_SECONDS * 96_000
"""Most samples of all channels together, as 8-byte floats in memory (2.8 GB): an hour of stereo at 48 kHz."""

_LARGEST = 1e30
"""Largest value of a sample, whose full scale is 1: sums and products of such values stay finite."""

LOWEST_RATE = 1000
"""Lowest sampling rate, in Hz. From a much lower one, resampling to 16 kHz would make gigabytes of a small file."""

_BLOCK_VALUES = 2**18
"""Samples of all channels together that are decoded at once, as 8-byte floats in memory."""

_PROMISE = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)$", re.MULTILINE)
"""Line in libsndfile's log of a WAV, AIFF or AU file whose header promises more bytes (first) than exist (second)."""


def prepare_recordings(manifests: Sequence[Path], data_dir: Path, workers: int | None = None) -> Counts:
    """Convert the recordings of manifests of any form to a dataset in `data_dir`; return its counts.

    Each manifest's name must contain the word train, val, dev or test, which tells the split.
    `workers` threads convert, by default one per processor. `data_dir` is written completely or
    not at all. Raises InputError for a manifest, recording, transcript or output folder that
    cannot be used.
    """
    sources = [(split_of_manifest(path), source) for path in manifests for source in read_sources(path)]
    # All transcripts and headers first: a fault in the last row is found before the first recording is converted.
    _check(sources)
    for _, source in sources:
        if source.audio.resolve().is_relative_to(resolved(data_dir)):
            raise InputError(
                f"{source.where}: {source.audio} lies in --data-dir, which is replaced; choose a different folder"
            )
    samples = sum(_expected_samples(source.audio) for _, source in sources)
    with new_dataset(data_dir, "custom", disk_bytes(len(sources), samples)) as writer:
        writer.finish("custom", _convert(sources, writer, workers))
    return read_counts(data_dir)


def split_of_manifest(path: Path) -> str:
    """Return the split whose word is in a manifest's name. Raises InputError if there is no such word or several."""
    found = {_SPLIT_OF_WORD[word] for word in re.split(r"[\W_]+", path.name.lower()) if word in _SPLIT_OF_WORD}
    if len(found) != 1:
        raise InputError(f"{path}: its name must contain the word of one split (train, val, dev or test); rename it")
    return found.pop()


def read_sources(manifest: Path) -> Iterator[Source]:
    """Yield the utterances of a manifest of any form. Raises InputError as `find_source` does, or if there are none."""
    base, empty = base_folder(manifest), True
    for row in read_rows(manifest):
        empty = False
        yield find_source(row, base, manifest)
    if empty:
        raise InputError(f"{manifest}: no utterances; give a different manifest")


def _check(sources: Sequence[tuple[str, Source]]) -> None:
    """Raise InputError for a bad id or transcript. All transcripts outside the alphabet are reported in one message."""
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
            f"{len(outside)} transcripts have characters outside the alphabet (A to Z, apostrophe, space): {named};"
            " spell them out in letters"
        )


def _convert(sources: Sequence[tuple[str, Source]], writer: DatasetWriter, workers: int | None) -> Iterator[Recording]:
    """Write the audio of every source; yield its recording."""

    def convert(item: tuple[str, Source]) -> Recording:
        """Write the audio of one source, given with its split; return its recording."""
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
    """Return the samples of a recording as int16 [samples] at 16 kHz; 16 kHz mono 16-bit input is returned unchanged.

    Raises InputError if libsndfile cannot read the file, if the recording is empty, truncated or
    longer than an hour, has bytes that its header does not account for, or samples that are
    infinite or NaN.
    """
    samples = np.concatenate([*decoded(path, check_recording(path))])
    return to_16_bits(samples, gain(samples.min(), samples.max()))


def decoded(path: Path, info: "soundfile._SoundFileInfo") -> Iterator[NDArray[np.float64]]:
    """Yield blocks of a recording as float64 [samples] at 16 kHz, in units of a 16-bit sample, for its checked header.

    Any division into blocks is the same signal to the bit. Raises InputError as `read_any` does.
    """
    resampler = soxr.ResampleStream(info.samplerate, SAMPLE_RATE, 1, dtype="float64", quality="VHQ")
    read = resampled = 0
    try:
        with c_messages.dropped():
            file = soundfile.SoundFile(os.fsencode(path))
        with file:
            while read < info.frames:
                # In float64, processors differ by about 1e-16 of full scale; rounding to 16 bits hides that.
                with c_messages.dropped():
                    channels = file.read(_BLOCK_VALUES // info.channels, dtype="float64", always_2d=True)
                if len(channels) == 0:
                    raise InputError(f"{path}: truncated, {read} of {info.frames} samples; restore it or leave it out")
                if not (np.abs(channels) <= _LARGEST).all():  # NaN is not
                    raise InputError(
                        f"{path}: has samples that are infinite, not a number or above {_LARGEST:g}; record it again"
                    )
                read += len(channels)
                # Mixed before the resampling, which is the slow part and then has one channel to do.
                samples = channels.mean(axis=1)
                if info.samplerate != SAMPLE_RATE:
                    samples = resampler.resample_chunk(samples, last=read == info.frames)
                resampled += len(samples)
                # 32,768, as libsndfile divides by it: 16-bit input at 16 kHz comes out as it went in.
                yield samples * (_FULL_SCALE + 1)
    except (soundfile.LibsndfileError, TypeError) as error:
        raise _unreadable(path, error) from None
    if resampled == 0:
        raise InputError(f"{path}: too short for one sample at {SAMPLE_RATE} Hz; leave it out")


def gain(lowest: float, highest: float) -> float:
    """Return the factor that brings a recording with these extremes, in units of a 16-bit sample, into 16 bits.

    Float files may exceed full scale, and resampling overshoots. Scaling keeps the waveform; clipping distorts it.
    """
    if np.rint(highest) > _FULL_SCALE or np.rint(lowest) < -_FULL_SCALE - 1:
        return float(_FULL_SCALE / max(-lowest, highest))
    return 1.0


def to_16_bits(samples: NDArray[np.float64], factor: float) -> NDArray[np.int16]:
    """Return `samples` times `factor`, rounded to int16."""
    rounded: NDArray[np.int16] = np.rint(samples * factor).astype(np.int16)
    return rounded


def _expected_samples(path: Path) -> int:
    """Return the number of samples at 16 kHz that the header promises, or one more."""
    info = check_recording(path)
    return int(info.frames * SAMPLE_RATE // info.samplerate) + 1


def check_recording(path: Path, whole: bool = True) -> "soundfile._SoundFileInfo":
    """Return the header of a recording. Raises InputError for every fault that `read_any` refuses and the header shows.

    `whole` is false for callers that read the recording in blocks: it may then have any length.
    """
    try:
        with open_regular(path) as file:
            unclaimed, damaged = unclaimed_bytes(file), damaged_page(file)
        with c_messages.dropped():
            info = soundfile.info(os.fsencode(path), verbose=True)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; correct the name") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); change its permissions") from None
    except (soundfile.LibsndfileError, TypeError) as error:  # soundfile raises TypeError for a name ending in .raw
        raise _unreadable(path, error) from None
    for promised, there in _PROMISE.findall(info.extra_info):
        # libsndfile only logs this, and returns the samples that are there as if they were all.
        if int(there) < int(promised) < UNKNOWN_LENGTH:
            raise InputError(f"{path}: truncated, {there} of {promised} bytes; restore it or leave it out")
    if unclaimed:
        raise InputError(
            f"{path}: its header promises {info.frames} samples, after which {unclaimed} bytes are unaccounted for;"
            " convert it again or leave it out"
        )
    if damaged:
        raise InputError(f"{path}: damaged, its page {damaged} fails its checksum; restore it or leave it out")
    if not 0 < info.frames <= (LONGEST_SECONDS * info.samplerate if whole else info.frames):
        raise InputError(
            f"{path}: {info.frames} samples at {info.samplerate} Hz, must be between one sample and an hour;"
            " leave it out"
        )
    if info.samplerate < LOWEST_RATE:
        raise InputError(f"{path}: {info.samplerate} Hz, must be at least {LOWEST_RATE}; leave it out")
    if whole and info.frames * info.channels > _MOST_VALUES:
        raise InputError(
            f"{path}: {info.frames} samples of {info.channels} channels, must be at most {_MOST_VALUES} in total;"
            " convert it to 16 kHz and one channel"
        )
    return info


def _unreadable(path: Path, error: Exception) -> InputError:
    """Return the error for a file that libsndfile cannot open or decode."""
    reason = getattr(error, "error_string", "it has no header")
    return InputError(f"{path}: not a recording that libsndfile reads ({reason}); convert it to WAV")
