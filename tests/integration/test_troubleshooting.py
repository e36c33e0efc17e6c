"""Tests that the messages in docs/TROUBLESHOOTING.md are messages of the program."""

import ast
import re
from collections.abc import Iterator

import pytest

from speech_recognition.commands import ROOT

PAGE = (ROOT / "docs" / "TROUBLESHOOTING.md").read_text()
MESSAGES = [
    line for block in re.findall(r"^```\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE) for line in block.splitlines()
]
LEAST = 15
"""Fewest characters of text of its own that a pattern needs, so that one of placeholders alone matches nothing."""


def patterns() -> Iterator[re.Pattern[str]]:
    """Yield a pattern for each string in the code that may be a message; a placeholder matches anything."""
    for path in [*(ROOT / "speech_recognition").rglob("*.py"), ROOT / "script" / "environment.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [str(each.value) if isinstance(each, ast.Constant) else None for each in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = [node.value]
            else:
                continue
            if len("".join(filter(None, parts))) >= LEAST:
                yield re.compile("".join(".*" if part is None else re.escape(part) for part in parts))


PATTERNS = list(patterns())


def known(message: str) -> bool:
    text = re.sub("^(error|note): ", "", message)
    return any(pattern.fullmatch(each) for pattern in PATTERNS for each in (message, text))


@pytest.mark.parametrize("message", MESSAGES)
def test_each_quoted_message_is_one_of_the_programs(message: str) -> None:
    assert known(message)


@pytest.mark.parametrize(
    "message", ["error: --num-gpus 4: there are 2 GPUs; use fewer, or --device cpu", "error: a: b", "note: all is well"]
)
def test_a_message_that_the_program_does_not_have_is_noticed(message: str) -> None:
    assert not known(message)


def test_the_page_has_messages() -> None:
    assert len(MESSAGES) > 15
