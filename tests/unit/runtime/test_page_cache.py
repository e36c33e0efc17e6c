"""The page cache is dropped, or the log can say that it was not."""

import os
from pathlib import Path

import pytest

from speech_recognition.runtime import page_cache
from speech_recognition.runtime.page_cache import can_drop, drop_caches


def test_it_says_whether_the_cache_was_dropped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    written: list[tuple[str, str]] = []
    monkeypatch.setattr("os.sync", lambda: None)
    monkeypatch.setattr(Path, "write_text", lambda path, text, **_: written.append((str(path), text)))
    assert drop_caches()
    assert written == [("/proc/sys/vm/drop_caches", "3\n")]

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_text", refuse)
    assert not drop_caches()
    assert "note: the page cache could not be dropped (not root)" in capsys.readouterr().err


def test_whether_it_may_be_dropped_is_known_without_dropping_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = tmp_path / "drop_caches"
    switch.write_text("untouched")
    monkeypatch.setattr(page_cache, "_SWITCH", switch)
    assert can_drop() and switch.read_text() == "untouched"
    monkeypatch.setattr(page_cache, "_SWITCH", tmp_path / "gone")
    assert not can_drop()

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(page_cache, "_SWITCH", switch)
    monkeypatch.setattr(os, "open", refuse)
    assert not can_drop()
