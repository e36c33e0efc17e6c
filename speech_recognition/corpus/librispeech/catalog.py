"""The archives of LibriSpeech and the options made from them, read from reference_checksums/librispeech.json.

The publisher, torchaudio, TensorFlow Datasets and the paper (Panayotov et al., ICASSP 2015) agree on the sizes,
digests, hours and numbers of utterances and speakers of LibriSpeech's seven archives. The two archives of the option
`small`, Mini LibriSpeech (OpenSLR 31), could not be downloaded here: the number of utterances of dev-clean-2 is from
Kaldi's logs, its hours follow from its size, and its number of speakers is not known, so it is not checked.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speech_recognition.corpus.counts import SPLITS
from speech_recognition.corpus.librispeech.layout import split_of
from speech_recognition.errors import InputError

RESOURCE = "{resource}"
"""Placeholder, in the URL of a mirror, for the number of the archive's OpenSLR resource."""


@dataclass(frozen=True)
class Archive:
    """One archive of LibriSpeech, which holds one subset."""

    subset: str
    """Name of the subset, such as dev-clean."""
    bytes: int
    """Size of the archive in bytes."""
    md5: str
    """MD5 of the archive, in hex, as the publisher lists it."""
    sha256: str
    """SHA-256 of the archive, in hex, by which it is checked."""
    hours: float
    """Hours of speech in the subset."""
    utterances: int
    """Number of recordings in the subset."""
    speakers: int | None
    """Number of readers in the subset; None if it is not known."""
    older_bytes: int | None = None
    """Size of the archive of this name in the previous release, whose content is different; None if there is none."""
    resource: int = 12
    """Number of the OpenSLR resource that has the archive: 12 is LibriSpeech, 31 is Mini LibriSpeech."""

    @property
    def file(self) -> str:
        """File name of the archive, the same on every mirror."""
        return f"{self.subset}.tar.gz"

    def url(self, mirror: str) -> str:
        """Return the archive's address on a mirror."""
        return f"{mirror.replace(RESOURCE, str(self.resource)).rstrip('/')}/{self.file}"


@dataclass(frozen=True)
class Catalog:
    """Content of the catalog: which archives make which dataset, and where they are downloaded."""

    options: dict[str, tuple[Archive, ...]]
    """Archives of each option, by the option's name: all, clean ..."""
    mirrors: tuple[str, ...]
    """URLs of the folders of archives, in the order in which they are tried; RESOURCE may stand in them."""


def read_catalog(path: Path) -> Catalog:
    """Return the catalog in a JSON file. Raises InputError if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        archives = {each["subset"]: Archive(**each) for each in content["archives"]}
        options = {name: tuple(archives[subset] for subset in subsets) for name, subsets in content["options"].items()}
        return Catalog(options, tuple(content["mirrors"]))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); restore it") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: damaged; restore it") from None


def utterances_by_split(archives: Sequence[Archive]) -> dict[str, int]:
    """Return the number of utterances in each split of a dataset made from `archives`."""
    counts = dict.fromkeys(SPLITS, 0)
    for archive in archives:
        counts[split_of(archive.subset, archive.file)] += archive.utterances
    return counts
