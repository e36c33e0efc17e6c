"""Utterances in a table: what goes in comes back."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.corpus.manifest import Utterance, read_manifest
from speech_recognition.corpus.table import Table

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0/"), min_size=1, max_size=9)


@st.composite
def utterances(draw: st.DrawFn) -> list[Utterance]:
    return [
        Utterance(
            id=draw(NAMES),
            audio=Path(draw(NAMES)),
            text=draw(st.none() | NAMES.map(Path)),
            transcript=draw(st.text("AB '\n", min_size=1)),
            seconds=draw(st.floats(1e-9, 1e9)),
            samples=draw(st.integers(1, 10**12)),
            speaker=draw(st.just("") | NAMES),
            subset=draw(NAMES),
            bytes=draw(st.integers(1, 10**12)),
        )
        for _ in range(draw(st.integers(0, 4)))
    ]


@given(utterances())
def test_any_utterances_come_back(made: list[Utterance]) -> None:
    table = Table.of(made)
    assert list(table) == made and len(table) == len(made)
    assert table.samples.tolist() == [each.samples for each in made]
    assert table.seconds.tolist() == [each.seconds for each in made]
    assert table.column("subset") == [each.subset.encode() for each in made]


def test_a_path_that_is_not_utf_8_comes_back(tone_dataset: Path) -> None:
    first = read_manifest(tone_dataset / "manifests" / "train.csv")[0]
    strange = Utterance(**vars(first) | {"audio": Path("caf\udce9.wav")})
    assert Table.of([strange])[0] == strange


def test_parts_and_places_are_those_of_a_list(tone_dataset: Path) -> None:
    listed = read_manifest(tone_dataset / "manifests" / "train.csv")
    table = Table.of(listed)
    assert list(table[3:9:2]) == listed[3:9:2] and list(table[::-1]) == listed[::-1]
    assert table[-1] == listed[-1]
    with pytest.raises(IndexError):
        table[24]
    chosen = np.array([5, 2])
    assert list(table.keep(chosen)) == [listed[5], listed[2]]
    assert table.keep(chosen).ctc_frames.tolist() == table.ctc_frames[chosen].tolist()
    assert table.keep(chosen).samples.tolist() == [listed[5].samples, listed[2].samples]
    assert Table.of(table) is table
