"""LibriSpeech, as archives or as a folder in its layout -> the processed dataset.

Recordings that are not 16 kHz, mono, 16 bits are refused, not converted: LibriSpeech has
none. Runs of spaces in a transcript become one. Nothing else is changed or left out, and
the result depends on the source alone.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from params import SAMPLE_RATE
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
from speech_recognition.runtime.progress import Progress

_EXPANSION = 2.5
"""A generous guess of how much larger WAV is than FLAC; LibriSpeech's is 1.84."""


@dataclass(frozen=True, slots=True)
class _Audio:
    """A recording that has been decoded and written; `bytes` are those of its FLAC."""

    id: str
    subset: str
    samples: int
    bytes: int
    where: str


def prepare(source: Path, data_dir: Path, dataset: str = "custom", workers: int | None = None) -> Counts:
    """Process a folder in LibriSpeech's layout, or archives, into `data_dir`, which is there whole or not at all.

    `source` is a folder of subsets, an archive, or a folder of archives. `workers` threads
    decode, by default one for each processor. A dataset of the same option at `data_dir`
    is replaced. Raises
    InputError for a source or an output folder that cannot be used.
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
    """Download an option's archives into `archives_dir` and process them into `data_dir`; at once if it is complete.

    The dataset's checksum is recorded in it: it is made of nothing but archives that match
    the catalog. Raises InputError and DownloadError as `fetch_archives` does, InputError as `prepare` does.
    """
    archives = catalog.options[option]
    if _is_complete(data_dir, option, archives):
        return read_counts(data_dir)
    check_replaceable(data_dir, option)
    check_present(archives, archives_dir)
    seconds = 3600 * sum(each.hours for each in archives)
    size = disk_bytes(sum(each.utterances for each in archives), round(SAMPLE_RATE * seconds))
    # Both may lie on one disk.
    check_writable(data_dir, size + missing_bytes(archives, archives_dir), "--data-dir")
    files = fetch_archives(archives, archives_dir, mirrors)
    with new_dataset(data_dir, option, size) as writer:
        # What it holds of every utterance is free again before the checksum holds something of every file.
        _fill(writer, files, option, archives)
        write_reference(writer.folder, writer.folder / RECORDED, option, archives)
    return read_counts(data_dir)


def _fill(writer: DatasetWriter, files: Sequence[Path], option: str, archives: Sequence[Archive]) -> None:
    recordings = process(files, writer)
    _check_counts(recordings, archives)
    writer.finish(option, recordings)


def _is_complete(data_dir: Path, option: str, archives: Sequence[Archive]) -> bool:
    try:
        counts = read_counts(data_dir)
    except InputError:
        return False
    expected = utterances_by_split(archives)
    return counts.dataset == option and all(
        getattr(counts, split).utterances == expected[split] == _files_in(data_dir / split / "wav") for split in SPLITS
    )


def _files_in(folder: Path) -> int:
    return len(os.listdir(folder)) if folder.is_dir() else 0


def _check_counts(recordings: Sequence[Recording], archives: Sequence[Archive]) -> None:
    for archive in archives:
        members = [each for each in recordings if each.subset == archive.subset]
        speakers = len({each.speaker for each in members})
        if (len(members), speakers) != (archive.utterances, archive.speakers):
            raise InputError(
                f"{archive.file}: {len(members)} utterances of {speakers} speakers,"
                f" the catalog says {archive.utterances} of {archive.speakers}; restore reference_checksums"
            )


def process(files: Sequence[Path], writer: DatasetWriter, workers: int | None = None) -> list[Recording]:
    """Decode every recording of `files` (archives, or those of a folder) into a dataset; pair it with its transcript.

    Raises InputError for the first recording that is damaged, of another form, or there
    twice, and for one without a transcript or the reverse.
    """
    transcripts: dict[str, Transcript] = {}
    audio: dict[str, _Audio] = {}

    def decode(flac: Member) -> _Audio:
        name = flac.name.removesuffix(FLAC)
        samples = decode_flac(flac.content, flac.where)
        writer.write_audio(split_of(flac.subset, flac.where), name, samples)
        return _Audio(name, flac.subset, len(samples), len(flac.content), flac.where)

    members = chain.from_iterable(map(read_members, files))
    with (
        Progress("prepare", sum(path.stat().st_size for path in files), "B") as progress,
        in_threads(decode, _keep_transcripts(members, transcripts), workers) as results,
    ):
        for each in results:
            if each.id in audio:
                raise InputError(f"{each.where}: utterance {each.id} is there twice, first as {audio[each.id].where}")
            audio[each.id] = each
            progress.advance(each.bytes)
    if not audio:
        raise InputError(f"{files[0]}: no recordings; give an archive of LibriSpeech")
    return list(_paired(audio, transcripts))


def _keep_transcripts(members: Iterable[Member], transcripts: dict[str, Transcript]) -> Iterator[Member]:
    """The recordings among `members`; what their transcript files say goes into `transcripts`."""
    for member in members:
        if member.name.endswith(TRANSCRIPTS):
            chapter = member.name.removesuffix(TRANSCRIPTS)
            for name, new in parse_transcripts(member.content, chapter, member.where):
                old = transcripts.setdefault(name, new)
                if old.text != new.text:
                    raise InputError(
                        f"{new.file}:{new.line}: utterance {name} has a different transcript in {old.file}:{old.line};"
                        " remove one"
                    )
        else:
            yield member


def _paired(audio: dict[str, _Audio], transcripts: dict[str, Transcript]) -> Iterator[Recording]:
    for name, transcript in transcripts.items():
        if name not in audio:
            where = f"{transcript.file}:{transcript.line}"
            raise InputError(f"{where}: utterance {name} has no FLAC file; fetch it or remove the line")
    for name, each in audio.items():
        if name not in transcripts:
            raise InputError(
                f"{each.where}: utterance {name} has no line in its chapter's .trans.txt; add it or remove it"
            )
        split, speaker = split_of(each.subset, each.where), name.partition("-")[0]
        yield Recording(name, transcripts[name].text, each.samples, speaker, each.subset, split)
