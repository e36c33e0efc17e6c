"""The archives of LibriSpeech and the options made from them, read from reference_checksums/librispeech.json.

The publisher, torchaudio, TensorFlow Datasets and the paper (Panayotov et al., ICASSP 2015)
agree on all its sizes, digests, hours and numbers of utterances and speakers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speech_recognition.corpus.counts import SPLITS
from speech_recognition.corpus.librispeech.layout import split_of
from speech_recognition.errors import InputError


@dataclass(frozen=True)
class Archive:
    """One archive, <subset>.tar.gz. `older_bytes` is its size in the previous release, whose content is different."""

    subset: str
    bytes: int
    md5: str
    sha256: str
    hours: float
    utterances: int
    speakers: int
    older_bytes: int

    @property
    def file(self) -> str:
        """File name of the archive, the same on every mirror."""
        return f"{self.subset}.tar.gz"


@dataclass(frozen=True)
class Catalog:
    """Archives of each option, by its name, and the URLs of the mirrors, in the order in which they are asked."""

    options: dict[str, tuple[Archive, ...]]
    mirrors: tuple[str, ...]


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
