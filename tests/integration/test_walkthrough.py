"""A test that docs/WALKTHROUGH.md, typed into Python line by line, prints what it shows."""

import doctest
import re
import tempfile
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT


def test_every_line_of_the_walkthrough_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    path = ROOT / "docs" / "WALKTHROUGH.md"
    blocks = re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    session = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, path.name, str(path), 0)
    said: list[str] = []
    failed, tried = doctest.DocTestRunner(verbose=False).run(session, out=said.append)
    assert not failed, "".join(said)
    assert tried > 40
