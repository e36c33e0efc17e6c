"""Manifests read column by column: 1 s on the clock of a run on LibriSpeech, where row by row takes 10 s.

Only what `write_manifest` writes is read like this, and only if nothing about it is unusual: a different form, a field
in quotes, a letter outside ASCII or a fault is left to `read_manifest`, which goes row by row and says what is wrong.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from speech_recognition.alphabet import SYMBOLS
from speech_recognition.corpus.audio import LONGEST_SECONDS
from speech_recognition.corpus.manifest import LONGEST_NAME, base_folder, read_manifest
from speech_recognition.corpus.manifest_forms import COLUMNS
from speech_recognition.corpus.table import Table, bounds_of, cut
from speech_recognition.errors import InputError
from speech_recognition.files import open_regular
from speech_recognition.lengths import all_ctc_frames
from speech_recognition.parameters import SAMPLE_RATE

_MOST_BYTES = 1 << 30
"""Largest manifest, in bytes, that is read as a whole; LibriSpeech's has a tenth of this."""

_HEADER = ",".join(COLUMNS).encode() + b"\n"

_PLAIN = bytes(range(32, 127)).replace(b'"', b"") + b"\n"
"""Bytes of a manifest that needs no CSV parser: its fields lie between commas, and its rows are lines."""

_TRANSCRIPT = SYMBOLS[1:].encode()
"""Bytes of a transcript."""


class _UnusualError(Exception):
    """A manifest in a form that only `read_manifest` reads or refuses."""


def read_table(path: Path) -> Table:
    """Return what `read_manifest` returns, as a table. Raises InputError as it does."""
    try:
        return _read_columns(path)
    except (_UnusualError, InputError, OSError, ValueError):  # ValueError: a duration that is no number
        return Table.of(read_manifest(path))


def _read_columns(path: Path) -> Table:
    """Return the utterances of a manifest. Raises _UnusualError for one that is unlike those of `write_manifest`."""
    content = _read_plain(path)
    bounds = bounds_of(_field_ends(content), first=len(_HEADER) - 1)
    before, ends = _by_column(bounds[:, :-1]), _by_column(bounds[:, 1:])
    ids = cut(content, before["utterance_id"], ends["utterance_id"])
    _expect(all(ids) and len(set(ids)) == len(ids))
    for name in ("utterance_id", "speaker", "subset"):
        _expect((ends[name] - before[name]).max() - 1 <= LONGEST_NAME)
    samples = _whole_numbers(content, before["samples"], ends["samples"])
    _expect(samples.max() <= LONGEST_SECONDS * SAMPLE_RATE)
    _whole_numbers(content, before["bytes"], ends["bytes"])  # for its checks
    files, ctc_frames = _Files(base_folder(path)), np.zeros_like(samples)
    table = Table(content, bounds, base_folder(path), samples, ctc_frames)
    for part in table.parts():
        seconds, transcripts = part.seconds, part.column("transcript")
        _expect(bool((np.isfinite(seconds) & (seconds > 0)).all()))
        _expect(all(map(bytes.strip, transcripts)) and not b"".join(transcripts).translate(None, _TRANSCRIPT))
        _expect(files.include(part.column("audio")))
        part.ctc_frames[:] = all_ctc_frames(transcripts)  # a view of the whole table's
    return _by_length(table, np.array(ids))


def _by_column(bounds: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return bounds [rows, columns] by the names of the columns."""
    return dict(zip(COLUMNS, bounds.T, strict=True))


def _expect(holds: bool) -> None:
    """Raise _UnusualError unless a condition `holds`."""
    if not holds:
        raise _UnusualError


def _read_plain(path: Path) -> bytes:
    """Return the content of a manifest. Raises OSError, and _UnusualError if it needs a CSV parser."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        _expect(size <= _MOST_BYTES)
        content = file.read(size)
    _expect(content.startswith(_HEADER) and content.endswith(b"\n") and len(content) > len(_HEADER))
    _expect(not content.translate(None, _PLAIN))
    return content


def _field_ends(content: bytes) -> NDArray[np.int64]:
    """Return the places [rows, columns] of commas and line ends after the header.

    Raises _UnusualError if one is missing.
    """
    symbols, ends = np.frombuffer(content, dtype=np.uint8), []
    # In parts that fit the processor's cache: the whole would take several times the memory.
    for begin in range(len(_HEADER), len(content), 1 << 19):
        part = symbols[begin : begin + (1 << 19)]
        ends.append(np.flatnonzero((part == ord(",")) | (part == ord("\n"))) + begin)
    flat = np.concatenate(ends)
    _expect(len(flat) % len(COLUMNS) == 0)
    table = flat.reshape(-1, len(COLUMNS))
    is_line_end = symbols[table] == ord("\n")
    _expect(bool(is_line_end[:, -1].all()) and not is_line_end[:, :-1].any())
    return table


def _whole_numbers(content: bytes, before: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fields as numbers. Raises _UnusualError for all but 1 to 15 digits without a 0 in front."""
    symbols, widths = np.frombuffer(content, dtype=np.uint8), ends - before - 1
    _expect(widths.min() > 0 and widths.max() <= 15)
    numbers = np.zeros_like(ends)
    for place in range(1, int(widths.max()) + 1):
        digits = symbols[np.minimum(before + place, ends)].astype(np.int64) - ord("0")
        inside = place <= widths
        _expect(bool(((digits >= (place == 1)) & (digits <= 9) | ~inside).all()))
        numbers = np.where(inside, 10 * numbers + digits, numbers)
    return numbers


class _Files:
    """The regular files of folders below `base`, each of which is listed once, when a path in it is asked for.

    Listing a folder takes a fifth of the time of checking each of its files.
    """

    def __init__(self, base: Path) -> None:
        """Start with no folder listed."""
        self._base, self._found, self._listed = os.fsencode(base), set[bytes](), set[bytes]()

    def include(self, paths: Sequence[bytes]) -> bool:
        """Return whether all paths are those of regular files. Raises OSError for a folder that cannot be listed."""
        while not self._found.issuperset(paths):
            one = next(path for path in paths if path not in self._found)
            folder = one[: one.rfind(b"/") + 1]
            if folder in self._listed:
                return False
            self._listed.add(folder)
            with os.scandir(os.path.join(self._base, folder)) as entries:
                self._found.update([folder + entry.name for entry in filter(os.DirEntry.is_file, entries)])
        return True


def _by_length(table: Table, ids: NDArray[np.bytes_]) -> Table:
    """Return the table in the order of `manifest.by_length`."""
    samples = table.samples
    later = (samples[1:] > samples[:-1]) | ((samples[1:] == samples[:-1]) & (ids[1:] > ids[:-1]))
    return table if later.all() else table.keep(np.lexsort((ids, samples)))
