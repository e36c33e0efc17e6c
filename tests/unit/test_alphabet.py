"""Tests of the alphabet: text to ids and back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition import alphabet

TEXTS = st.text(alphabet=alphabet.SYMBOLS.replace("_", ""), max_size=50)


def test_the_symbols_of_the_reference() -> None:
    assert len(alphabet.SYMBOLS) == 29
    assert alphabet.SYMBOLS[alphabet.BLANK] == "_"
    assert alphabet.SYMBOLS[-1] == " "
    assert alphabet.encode("'AZ ") == [1, 2, 27, 28]


@given(TEXTS)
def test_decode_undoes_encode(text: str) -> None:
    assert alphabet.decode(alphabet.encode(text)) == text


@pytest.mark.parametrize("text", ["HELLO, WORLD", "hello", "N\u00c9E", "A_B", "TAB\tBED"])
def test_foreign_characters_are_refused_and_named(text: str) -> None:
    unknown = alphabet.unknown_symbols(text)
    assert unknown and set(unknown) <= set(text)
    with pytest.raises(ValueError, match="outside the alphabet"):
        alphabet.encode(text)


def test_unknown_symbols_are_given_once_and_in_order() -> None:
    assert alphabet.unknown_symbols("A-B.C-D!") == "-.!"
