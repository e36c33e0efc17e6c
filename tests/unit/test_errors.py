"""Messages that hold somebody else's text stay one line of printable characters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speech_recognition.errors import one_line


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain, é and 語", "plain, é and 語"),
        ("a\nDataset Checksum Passed.", "a\\nDataset Checksum Passed."),
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("\udce9", "\\udce9"),
    ],
)
def test_control_characters_become_escapes(text, expected):
    assert one_line(text) == expected


def test_the_middle_of_a_long_message_is_cut():
    message = one_line("name: " + "x" * 1_000_000 + "; remove it")
    assert len(message) < 2100
    assert message.startswith("name: xx") and message.endswith("x; remove it")


@given(st.text(st.characters()))
def test_any_text_becomes_printable(text):
    assert one_line(text).isprintable()
