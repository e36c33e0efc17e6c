"""Conversion of LibriSpeech, from archives or a folder in its layout, to the processed dataset.

Recordings that are not 16 kHz mono 16-bit are refused instead of converted, because LibriSpeech
has none. Runs of spaces in a transcript become one. Nothing else is changed or left out, and
the result depends on the source only.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from speech_recognition.corpus.audio import decode_flac
from speech_recognition.corpus.checksum import write_reference
from speech_recognition.corpus.counts import SPLITS, Counts, read_counts
from speech_recognition.corpus.dataset import DatasetWriter, Recording, check_replaceable, disk_bytes, new_dataset
from speech_recognition.corpus.librispeech.catalog import Archive, Catalog, utterances_by_split
from speech_recognition.corpus.librispeech.download import check_present, fetch_archives, missing_bytes
from speech_recognition.corpus.librispeech.layout import FLAC, TRANSCRIPTS, Transcript, parse_transcripts, split_of
from speech_recognition.corpus.librispeech.sources import Member, find_files, read_members
from speech_recognition.corpus.parallel import in_threads
from speech_recognition.corpus.tar_stream import RECORDED
from speech_recognition.errors import InputError
from speech_recognition.files import check_writable
from speech_recognition.parameters import SAMPLE_RATE
from speech_recognition.runtime.progress import Progress

_EXPANSION = 2.5
"""Upper estimate of the ratio of WAV's size to FLAC's, which is 1.84 for LibriSpeech."""


@dataclass(frozen=True, slots=True)
class _Audio:
    """One recording whose WAV file has been written."""

    id: str
    """Utterance id."""
    subset: str
    """Name of its subset, such as dev-clean."""
    samples: int
    """Number of samples at 16 kHz."""
    bytes: int
    """Size of its FLAC file in bytes, for the progress bar."""
    where: str
    """Its FLAC file, for messages."""


def prepare_librispeech(source: Path, data_dir: Path, dataset: str = "custom", workers: int | None = None) -> Counts:
    """Convert LibriSpeech to a dataset in `data_dir`, completely or not at all; return its counts.

    `source` is an archive, a folder of archives, or a folder of subsets in LibriSpeech's layout.
    `workers` threads decode, by default one per processor. A dataset of the same option in
    `data_dir` is replaced. Raises InputError for a source or an output folder that cannot be used.
    """
    files = find_files(source)
    size = sum(path.stat().st_size for path in files)
    with new_dataset(data_dir, dataset, round(_EXPANSION * size)) as writer:
        writer.finish(dataset, process(files, writer, workers))
    return read_counts(data_dir)


def make_librispeech(
    option: str,
    catalog: Catalog,
    data_dir: Path,
    archives_dir: Path,
    mirrors: Sequence[str],
    workers: int | None = None,
) -> Counts:
    """Download an option's archives to `archives_dir` and convert them to a dataset in `data_dir`; return its counts.

    Nothing is done if the dataset is complete. Its checksum is recorded in its own folder, since all
    archives matched the catalog's SHA-256. Raises InputError for a folder or an archive that cannot be
    used, and DownloadError if no mirror completes an archive.
    """
    archives = catalog.options[option]
    if _is_complete(data_dir, option, archives):
        return read_counts(data_dir)
    check_replaceable(data_dir, option)
    check_present(archives, archives_dir)
    seconds = 3600 * sum(each.hours for each in archives)
    size = disk_bytes(sum(each.utterances for each in archives), round(SAMPLE_RATE * seconds))
    # Archives and dataset may share a disk, so that both must fit; fetch_archives checks the other disk.
    check_writable(data_dir, size + missing_bytes(archives, archives_dir), "--data-dir")
    files = fetch_archives(archives, archives_dir, mirrors)
    with new_dataset(data_dir, option, size) as writer:
        # In a function of its own, so that its 281,241 recordings are freed before the checksum lists 562,000 files.
        _fill(writer, files, option, archives)
        write_reference(writer.folder, writer.folder / RECORDED, option, archives)
    return read_counts(data_dir)


def _fill(writer: DatasetWriter, files: Sequence[Path], option: str, archives: Sequence[Archive]) -> None:
    """Write the dataset of an option, after comparing the archives' content with the catalog."""
    recordings = process(files, writer)
    _check_counts(recordings, archives)
    writer.finish(option, recordings)


def _is_complete(data_dir: Path, option: str, archives: Sequence[Archive]) -> bool:
    """Return whether every split has the catalog's number of utterances and as many WAV files."""
    # By counting, which takes a second: `verify` reads all 113 GB.
    try:
        counts = read_counts(data_dir)
    except InputError:
        return False
    expected = utterances_by_split(archives)
    return counts.dataset == option and all(
        getattr(counts, split).utterances == expected[split] == _files_in(data_dir / split / "wav") for split in SPLITS
    )


def _files_in(folder: Path) -> int:
    """Return the number of entries in a folder; 0 if there is none."""
    return len(os.listdir(folder)) if folder.is_dir() else 0


def _check_counts(recordings: Sequence[Recording], archives: Sequence[Archive]) -> None:
    """Raise InputError unless each subset has the catalog's numbers of utterances and, if known, of speakers."""
    for archive in archives:
        members = [each for each in recordings if each.subset == archive.subset]
        speakers = len({each.speaker for each in members})
        expected = archive.speakers or speakers
        if (len(members), speakers) != (archive.utterances, expected):
            raise InputError(
                f"{archive.file}: {len(members)} utterances of {speakers} speakers,"
                f" the catalog says {archive.utterances} of {expected}; restore reference_checksums"
            )


def process(files: Sequence[Path], writer: DatasetWriter, workers: int | None = None) -> list[Recording]:
    """Write the audio of every recording in `files` (archives, or FLAC and transcript files); return all recordings.

    Raises InputError for the first recording that is damaged, not 16 kHz mono 16-bit, repeated, or
    without a transcript, and for the first transcript without a recording.
    """
    transcripts: dict[str, Transcript] = {}
    audio: dict[str, _Audio] = {}

    def decode(flac: Member) -> _Audio:
        """Write the WAV file of one FLAC file; return its description, without the samples."""
        name = flac.name.removesuffix(FLAC)
        samples = decode_flac(flac.content, flac.where)
        writer.write_audio(split_of(flac.subset, flac.where), name, samples)
        return _Audio(name, flac.subset, len(samples), len(flac.content), flac.where)

    # Lazy from end to end: memory holds eight recordings per thread. What grows is the texts and names, to 378 MB for
    # all of LibriSpeech (docs/RESULTS.md).
    members = chain.from_iterable(map(read_members, files))
    with (
        Progress("prepare", sum(path.stat().st_size for path in files), "B") as progress,
        in_threads(decode, _keep_transcripts(members, transcripts), workers) as results,
    ):
        for each in results:
            if each.id in audio:
                raise InputError(
                    f"{each.where}: utterance {each.id} appears twice, first as {audio[each.id].where}; remove one"
                )
            audio[each.id] = each
            progress.advance(each.bytes)
    if not audio:
        raise InputError(f"{files[0]}: no recordings; give one of LibriSpeech's archives")
    return list(_paired(audio, transcripts))


def _keep_transcripts(members: Iterable[Member], transcripts: dict[str, Transcript]) -> Iterator[Member]:
    """Yield the recordings among `members`; add the transcripts of the other members to `transcripts`."""
    for member in members:
        if member.name.endswith(TRANSCRIPTS):
            chapter = member.name.removesuffix(TRANSCRIPTS)
            for name, new in parse_transcripts(member.content, chapter, member.where):
                old = transcripts.setdefault(name, new)
                # The same line in two files does no harm.
                if old.text != new.text:
                    raise InputError(
                        f"{new.file}:{new.line}: utterance {name} has a different transcript in {old.file}:{old.line};"
                        " remove one"
                    )
        else:
            yield member


def _paired(audio: dict[str, _Audio], transcripts: dict[str, Transcript]) -> Iterator[Recording]:
    """Yield each recording with its transcript. Raises InputError for the first that has no partner."""
    # Only now: an archive may have a chapter's recordings before its transcripts.
    for name, transcript in transcripts.items():
        if name not in audio:
            where = f"{transcript.file}:{transcript.line}"
            raise InputError(f"{where}: utterance {name} has no FLAC file; restore it or remove the line")
    for name, each in audio.items():
        if name not in transcripts:
            raise InputError(
                f"{each.where}: utterance {name} has no line in its chapter's .trans.txt; add the line or remove"
                " the file"
            )
        split, speaker = split_of(each.subset, each.where), name.partition("-")[0]
        yield Recording(name, transcripts[name].text, each.samples, speaker, each.subset, split)
