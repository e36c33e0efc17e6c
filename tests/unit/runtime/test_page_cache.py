"""The page cache is dropped, or the log can say that it was not."""

from pathlib import Path

import pytest

from speech_recognition.runtime.page_cache import drop_caches


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
