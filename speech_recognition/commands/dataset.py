"""The commands that make and verify a dataset: download, synthesize, prepare, verify."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from speech_recognition.commands import REFERENCES, ROOT, Commands
from speech_recognition.errors import ExitStatus, InputError
from speech_recognition.files import check_file, resolved
from speech_recognition.parameters import LIBRISPEECH_FOLDER, MINI_FOLDER, SMALL_FOLDER

if TYPE_CHECKING:
    from speech_recognition.corpus.counts import Counts

_OPTIONS = ("all", "clean", "clean_small", "other", "small", "mini")
_FOLDERS = {"small": SMALL_FOLDER, "mini": MINI_FOLDER}
"""Folders of the datasets that are not made from LibriSpeech's archives; the others use LIBRISPEECH_FOLDER."""


def _add_option(parser: argparse.ArgumentParser) -> None:
    """Add the dataset's option (all, clean, ...) and --data-dir; --data_dir is the model garden's spelling."""
    parser.add_argument(
        "dataset",
        nargs="?",
        default="all",
        choices=_OPTIONS,
        help="all: LibriSpeech; clean, clean_small, other: a part of it; small: Mini LibriSpeech; mini: the embedded"
        " corpus (default: all)",
    )
    parser.add_argument(
        "--data-dir",
        "--data_dir",
        type=Path,
        metavar="DIR",
        help="folder of the dataset (default: LibriSpeech_dataset; small_dataset and mini_dataset for small and mini)",
    )


def _data_dir(options: argparse.Namespace) -> Path:
    chosen: Path = options.data_dir or ROOT / _FOLDERS.get(options.dataset, LIBRISPEECH_FOLDER)
    return chosen


def add_download(commands: Commands) -> None:
    """Add the command `download`."""
    parser = commands.add_parser(
        "download",
        help="make a dataset ready to train on",
        description="Download, verify and process LibriSpeech or a part of it, or synthesise the embedded corpus.",
    )
    _add_option(parser)
    add = parser.add_argument
    add("--archives", type=Path, metavar="DIR", help="folder for the archives (default: LibriSpeech_archives)")
    add("--mirror", metavar="URL", help="download the archives from here, not from the public mirrors")
    parser.set_defaults(run=_download)


def _download(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.corpus.checksum import CATALOG_NAME
    from speech_recognition.corpus.librispeech.catalog import read_catalog
    from speech_recognition.corpus.librispeech.prepare import make_librispeech
    from speech_recognition.corpus.mini.synthesize import make_mini

    if options.dataset == "mini":
        counts = make_mini(_data_dir(options))
    else:
        catalog = read_catalog(REFERENCES / CATALOG_NAME)
        mirrors = [_mirror(options.mirror)] if options.mirror is not None else catalog.mirrors
        archives = options.archives or ROOT / "LibriSpeech_archives"
        counts = make_librispeech(options.dataset, catalog, _data_dir(options), archives, mirrors)
    _print_counts(counts)
    return ExitStatus.DONE


def _mirror(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise InputError(f"--mirror {url}: must begin with https:// or http://")
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:  # of a port, or of an address in brackets
        whole = False
    if not whole:
        raise InputError(f"--mirror {url}: not a URL; give one such as https://example.org/resources")
    return url


def add_synthesize(commands: Commands) -> None:
    """Add the command `synthesize`."""
    parser = commands.add_parser(
        "synthesize",
        help="write the embedded corpus in LibriSpeech's own layout",
        description="Write the embedded corpus as FLAC files and transcripts. `download mini` runs this and `prepare`.",
    )
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="new folder for the corpus")
    parser.set_defaults(run=_synthesize)


def _synthesize(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.corpus.mini.synthesize import synthesize

    synthesize(options.output)
    return ExitStatus.DONE


def add_prepare(commands: Commands) -> None:
    """Add the command `prepare`."""
    parser = commands.add_parser(
        "prepare",
        help="convert recordings and transcripts into a dataset",
        description="Convert LibriSpeech, or your own recordings, into 16 kHz WAV files, text files and manifests.",
    )
    sources = parser.add_mutually_exclusive_group(required=True)
    sources.add_argument(
        "source",
        nargs="?",
        type=Path,
        metavar="SOURCE",
        help="LibriSpeech: an archive, a folder of archives, or a folder with folders named train-*, dev-* and test-*,"
        " which hold FLAC and .trans.txt files",
    )
    sources.add_argument(
        "--manifest",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="your own recordings: tables with columns for audio and transcript; the name of a file is its split"
        " (train.csv, dev.csv ...)",
    )
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR", help="folder of the dataset to make")
    parser.add_argument(
        "--format",
        action="append",
        default=[],
        choices=["mlperf", "tensorflow", "deepspeech.pytorch"],
        help="also write the manifests in the form of this system (repeatable)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the dataset in --data-dir DIR")
    parser.set_defaults(run=_prepare)


def _prepare(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.corpus.counts import SPLITS, counts_path, read_counts
    from speech_recognition.corpus.dataset import add_manifests
    from speech_recognition.corpus.librispeech.prepare import prepare_librispeech
    from speech_recognition.corpus.recordings import prepare_recordings

    if not options.overwrite and counts_path(options.data_dir).exists():
        present = read_counts(options.data_dir)
        utterances = sum(getattr(present, split).utterances for split in SPLITS)
        raise InputError(
            f"--data-dir {options.data_dir}: holds a dataset of {utterances} utterances; add --overwrite to replace it,"
            " or choose a different folder"
        )
    if options.manifest:
        counts = prepare_recordings(options.manifest, options.data_dir)
    else:
        counts = prepare_librispeech(options.source, options.data_dir)
    for form in options.format:
        add_manifests(options.data_dir, form)
    _print_counts(counts)
    return ExitStatus.DONE


def _print_counts(counts: "Counts") -> None:
    for name in ("train", "val", "test"):
        split = getattr(counts, name)
        print(f"{name}: {split.utterances} utterances, {split.seconds / 60:.1f} minutes")


def add_verify(commands: Commands) -> None:
    """Add the command `verify`."""
    parser = commands.add_parser(
        "verify",
        help="compare the checksum of a dataset with the reference",
        description="Compare the checksum of a dataset, read as a tar stream, with the reference. If they differ, print"
        " a line for each file that is missing, extra or different, and exit with status 1.",
    )
    _add_option(parser)
    parser.add_argument("--tar", type=Path, metavar="FILE", help="also write the tar stream to this file")
    parser.set_defaults(run=_verify)


def _verify(options: argparse.Namespace) -> ExitStatus:
    from speech_recognition.corpus.checksum import find_reference
    from speech_recognition.corpus.stamp import verify_and_stamp

    data_dir = _data_dir(options)
    if options.tar:
        check_file(options.tar, "--tar")
        if resolved(options.tar).is_relative_to(resolved(data_dir)):
            raise InputError(f"--tar {options.tar}: lies in the dataset itself; give a path elsewhere")
    reference = find_reference(options.dataset, REFERENCES, data_dir)
    differences = verify_and_stamp(data_dir, reference, options.tar)
    print("WARNING: Dataset Checksum Failed." if differences else "Dataset Checksum Passed.")
    print(f"sha256 {reference.sha256}, {reference.tar_bytes} bytes, {reference.origin}", file=sys.stderr)
    for difference in differences:
        print(difference)
    return ExitStatus.FAILURE if differences else ExitStatus.DONE
