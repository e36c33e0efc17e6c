"""The utterances of a manifest as one table of bytes, from which an `Utterance` is made when it is asked for.

A list of LibriSpeech's 281,241 utterances takes 10 s to read and 360 MB; the table takes 1 s and 185 MB. Processes that
read audio share all of it, where they would copy a list as the counts of references to its objects change.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
from numpy.typing import NDArray

from speech_recognition.corpus.manifest import Utterance
from speech_recognition.corpus.manifest_forms import COLUMNS
from speech_recognition.lengths import all_ctc_frames

_PART = 4096
"""Utterances in a part of a table."""


class Table(Sequence[Utterance]):
    """Utterances that lie in one `bytes` object, with what a training set asks of all of them at once."""

    def __init__(
        self,
        content: bytes,
        bounds: NDArray[np.int64],
        base: Path,
        samples: NDArray[np.int64],
        ctc_frames: NDArray[np.int64],
    ) -> None:
        """Make a table of the fields in `content`, which lie between `bounds` [utterances, columns + 1].

        A field is in UTF-8, from the byte after one bound to that before the next. `base` is the folder that paths are
        relative to.
        """
        self._content, self._bounds, self._base = content, bounds, base
        self.samples = samples
        """Number of samples of each utterance: [utterances]."""
        self.ctc_frames = ctc_frames
        """Output frames that CTC needs for the transcript of each utterance: [utterances]."""

    @classmethod
    def of(cls, utterances: Sequence[Utterance]) -> "Table":
        """Return the table of `utterances`, which may be one already."""
        if isinstance(utterances, Table):
            return utterances
        # The fields of an utterance are the columns, in their order. Paths may have names that are not UTF-8.
        texts = [["" if value is None else str(value) for value in vars(each).values()] for each in utterances]
        rows = [[text.encode(errors="surrogateescape") for text in row] for row in texts]
        sizes = np.array([len(field) + 1 for row in rows for field in row], dtype=np.int64)
        return cls(
            content=b"\n".join(field for row in rows for field in row),
            bounds=bounds_of((sizes.cumsum() - 1).reshape(-1, len(COLUMNS))),
            base=Path(),
            samples=np.array([each.samples for each in utterances], dtype=np.int64),
            ctc_frames=all_ctc_frames([row[COLUMNS.index("transcript")] for row in rows]),
        )

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self._bounds)

    @overload
    def __getitem__(self, index: int) -> Utterance: ...
    @overload
    def __getitem__(self, index: slice) -> "Table": ...

    def __getitem__(self, index: int | slice) -> "Utterance | Table":
        """Return the utterance at `index`, or the table of a slice."""
        if isinstance(index, slice):
            return self.keep(np.arange(len(self))[index])
        bounds = self._bounds[index].tolist()
        fields = [self._content[begin + 1 : end] for begin, end in itertools.pairwise(bounds)]
        name, audio, text, transcript, seconds, samples, speaker, subset, size = (
            field.decode(errors="surrogateescape") for field in fields
        )
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
        return Table(self._content, self._bounds[chosen], self._base, self.samples[chosen], self.ctc_frames[chosen])

    def parts(self) -> Iterator["Table"]:
        """Yield the utterances in parts of _PART, small enough that their fields fit the processor's cache."""
        for begin in range(0, len(self), _PART):
            part = slice(begin, begin + _PART)
            yield Table(self._content, self._bounds[part], self._base, self.samples[part], self.ctc_frames[part])

    def column(self, name: str) -> list[bytes]:
        """Return one field of each utterance, by its name in COLUMNS."""
        place = COLUMNS.index(name)
        return cut(self._content, self._bounds[:, place], self._bounds[:, place + 1])

    @property
    def seconds(self) -> NDArray[np.float64]:
        """Duration of each utterance in seconds: [utterances]."""
        return np.fromiter(map(float, self.column("seconds")), dtype=np.float64, count=len(self))


def bounds_of(ends: NDArray[np.int64], first: int = -1) -> NDArray[np.int64]:
    """Return the bounds [rows, columns + 1] of fields that end at `ends`; `first` is the place before the first one."""
    begins = np.append(first, ends[:, -1])[: len(ends), None]
    return np.concatenate([begins, ends], axis=1)


def cut(content: bytes, before: NDArray[np.int64], ends: NDArray[np.int64]) -> list[bytes]:
    """Return the pieces of `content` from the byte after each of `before` to that before each of `ends`."""
    return [content[begin:end] for begin, end in zip((before + 1).tolist(), ends.tolist(), strict=True)]
