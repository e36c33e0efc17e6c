"""The utterances of a manifest as one table of bytes, from which each is made when it is asked for.

A list of LibriSpeech's 281,241 utterances takes 10 s to read and 360 MB; the table takes 1 s and 130 MB, and processes
that read audio share all of it: a fork copies a page as soon as the count of references to an object in it changes.
"""

import itertools
import operator
import os
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from params import SAMPLE_RATE
from speech_recognition.alphabet import SYMBOLS
from speech_recognition.corpus.audio import LONGEST_SECONDS
from speech_recognition.corpus.manifest import LONGEST_NAME, Utterance, base_folder, read_manifest
from speech_recognition.corpus.manifest_forms import COLUMNS
from speech_recognition.errors import InputError
from speech_recognition.files import open_regular

_MOST_BYTES = 1 << 30
"""Most bytes of a manifest that is held whole; LibriSpeech's has a tenth."""

_HEADER = ",".join(COLUMNS).encode() + b"\n"

_PLAIN = bytes(range(32, 127)).replace(b'"', b"") + b"\n"
"""Bytes of a manifest that needs no CSV parser: its fields lie between commas, and its rows are lines."""

_TRANSCRIPT = SYMBOLS[1:].encode()
"""Bytes of a transcript."""


class Table(Sequence[Utterance]):
    """Utterances that lie in one `bytes` object."""

    def __init__(
        self, content: bytes, bounds: NDArray[np.int64], base: Path, samples: NDArray[np.int64] | None = None
    ) -> None:
        """Make a table of the fields in `content`, which lie between `bounds` [utterances, columns + 1].

        A field is in UTF-8, from the byte after one bound to that before the next. base: the folder that paths are
        relative to; samples: the numbers in that column, if they are known.
        """
        self._content, self._bounds, self._base = content, bounds, base
        self.samples = self._numbers("samples") if samples is None else samples
        """Number of samples of every utterance."""

    @classmethod
    def of(cls, utterances: Sequence[Utterance]) -> "Table":
        """Return the table of `utterances`, which may be one already."""
        if isinstance(utterances, Table):
            return utterances
        # The fields of an utterance are the columns, in their order. Paths may have names that are not UTF-8.
        texts = [["" if value is None else str(value) for value in vars(each).values()] for each in utterances]
        rows = [[text.encode(errors="surrogateescape") for text in row] for row in texts]
        sizes = np.array([[len(field) + 1 for field in row] for row in rows]).reshape(-1, len(COLUMNS))
        ends = sizes.cumsum().reshape(sizes.shape) - 1
        return cls(b"\n".join(field for row in rows for field in row), _bounds(ends), Path())

    def __len__(self) -> int:
        return len(self._bounds)

    @overload
    def __getitem__(self, index: int) -> Utterance: ...
    @overload
    def __getitem__(self, index: slice) -> "Table": ...

    def __getitem__(self, index: int | slice) -> "Utterance | Table":
        if isinstance(index, slice):
            return self.keep(np.arange(len(self))[index])
        bounds = self._bounds[index].tolist()
        fields = [
            self._content[begin + 1 : end].decode(errors="surrogateescape") for begin, end in itertools.pairwise(bounds)
        ]
        name, audio, text, transcript, seconds, samples, speaker, subset, size = fields
        return Utterance(
            id=name,
            audio=self._base / audio,
            text=self._base / text if text else None,
            transcript=transcript,
            seconds=float(seconds),
            samples=int(samples),
            speaker=speaker,
            subset=subset,
            bytes=int(size),
        )

    def keep(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Table":
        """Return the utterances for which `chosen` is true, or whose indices it holds."""
        return Table(self._content, self._bounds[chosen], self._base, self.samples[chosen])

    def column(self, name: str) -> list[bytes]:
        """Return one field of every utterance, by its name in COLUMNS."""
        place = COLUMNS.index(name)
        begins, ends = (self._bounds[:, place] + 1).tolist(), self._bounds[:, place + 1].tolist()
        return [self._content[begin:end] for begin, end in zip(begins, ends, strict=True)]

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Duration of every utterance in seconds."""
        return np.fromiter(map(float, self.column("seconds")), dtype=np.float64, count=len(self))

    def _numbers(self, name: str) -> NDArray[np.int64]:
        """Return a column of whole numbers."""
        return np.fromiter(map(int, self.column(name)), dtype=np.int64, count=len(self))


def read_table(path: Path) -> Table:
    """Return what `read_manifest` returns, as a table. Raises InputError as it does."""
    # Column by column, which takes a tenth of the time, and row by row only where that finds anything unusual: a
    # different form, a field in quotes, a letter outside ASCII, a fault.
    return _read_columns(path) or Table.of(read_manifest(path))


def _read_columns(path: Path) -> Table | None:
    """Return the utterances of a manifest as `write_manifest` writes it, or None for one that is different in any way.

    None is no verdict: `read_manifest` may find the manifest good.
    """
    base = base_folder(path)
    try:
        content = _read_plain(path)
        if content is None or (ends := _field_ends(content)) is None:
            return None
        table = Table(content, _bounds(ends, first=len(_HEADER) - 1), base)
        good = _has_good_fields(table) and _has_audio(base, table.column("audio"))
    except (InputError, OSError, ValueError, OverflowError):  # also a field that is no number
        return None
    return _by_length(table) if good else None


def _read_plain(path: Path) -> bytes | None:
    """Return the content of a manifest that no CSV parser is needed for, or None if one is. Raises OSError."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(size) if size <= _MOST_BYTES else b""
    plain = content.startswith(_HEADER) and content.endswith(b"\n") and not content.translate(None, _PLAIN)
    return content if plain else None


def _field_ends(content: bytes) -> NDArray[np.int64] | None:
    """Return the places [rows, columns] of the commas and line ends after the header; None if a row has too many."""
    ends = []
    # In parts that fit the processor's cache: the whole would take several times the memory.
    for begin in range(len(_HEADER), len(content), 1 << 20):
        part = np.frombuffer(content, dtype=np.uint8, offset=begin, count=min(1 << 20, len(content) - begin))
        ends.append(np.flatnonzero((part == ord(",")) | (part == ord("\n"))) + begin)
    flat = np.concatenate(ends) if ends else np.zeros(0, dtype=np.int64)
    if not len(flat) or len(flat) % len(COLUMNS):
        return None
    table = flat.reshape(-1, len(COLUMNS))
    symbols = np.frombuffer(content, dtype=np.uint8)[table]
    return table if (symbols == np.frombuffer(b",,,,,,,,\n", dtype=np.uint8)).all() else None


def _bounds(ends: NDArray[np.int64], first: int = -1) -> NDArray[np.int64]:
    """Return the bounds [rows, columns + 1] of fields that end at `ends`; `first` is the place before the first one."""
    begins = np.append(first, ends[:, -1])[: len(ends), None]
    return np.concatenate([begins, ends], axis=1)


def _has_good_fields(table: Table) -> bool:
    """Return whether `read_manifest` would certainly take every field but the paths, and as it is.

    Raises ValueError or OverflowError if a number is not one.
    """
    ids, transcripts = table.column("utterance_id"), table.column("transcript")
    names = itertools.chain(ids, table.column("speaker"), table.column("subset"))
    seconds = table.seconds
    return (
        all(ids)
        and len(set(ids)) == len(ids)
        and max(map(len, names)) <= LONGEST_NAME
        and all(map(bytes.strip, transcripts))
        and not b"".join(transcripts).translate(None, _TRANSCRIPT)
        and bool((np.isfinite(seconds) & (seconds > 0)).all())
        and _are_whole(table.column("samples"), LONGEST_SECONDS * SAMPLE_RATE)
        and _are_whole(table.column("bytes"), 10**15 - 1)
    )


def _are_whole(fields: Sequence[bytes], most: int) -> bool:
    """Return whether all fields are numbers from 1 to `most`, without a zero or a sign before them."""
    numbers = [int(field) for field in fields]
    return min(numbers) > 0 and max(numbers) <= most and [b"%d" % number for number in numbers] == fields


def _has_audio(base: Path, paths: Sequence[bytes]) -> bool:
    """Return whether all paths are those of regular files. Raises OSError for a folder that cannot be listed."""
    # A list of LibriSpeech's folder takes 0.2 s, a look at each of its files 1 s.
    found: set[bytes] = set()
    for folder in {path[: path.rfind(b"/") + 1] for path in paths}:
        with os.scandir(os.path.join(os.fsencode(base), folder)) as entries:
            found.update(folder + entry.name for entry in entries if entry.is_file())
    return found.issuperset(paths)


def _by_length(table: Table) -> Table:
    """Return the table in the order of `manifest.by_length`."""
    keys = list(zip(table.samples.tolist(), table.column("utterance_id"), strict=True))
    if all(map(operator.lt, keys, itertools.islice(keys, 1, None))):
        return table
    return table.keep(np.array(sorted(range(len(keys)), key=keys.__getitem__)))
