"""Tests of downloads to a folder that already has archives, or parts of them: what is good is not downloaded again."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.corpus.librispeech.catalog import Archive
from speech_recognition.corpus.librispeech.download import fetch_archives, missing_bytes
from speech_recognition.errors import DiskFullError, InputError

NOBODY = ["http://127.0.0.1:9/12"]
"""Mirror at which nobody listens: a request to it would be an error."""


def put(folder: Path, name: str, content: bytes) -> Path:
    """Write a file into the folder of archives; return the folder."""
    (folder / name).write_bytes(content)
    return folder


def test_what_is_there_is_not_asked_for_again(small: Archive, content: bytes, tmp_path: Path) -> None:
    put(tmp_path, "dev-a.tar.gz", content)
    assert fetch_archives([small], tmp_path, NOBODY) == [tmp_path / "dev-a.tar.gz"]


def test_a_folder_that_has_everything_is_not_written_to(small: Archive, content: bytes, tmp_path: Path) -> None:
    fetch_archives([small], put(tmp_path, "dev-a.tar.gz", content), NOBODY)
    assert [path.name for path in tmp_path.iterdir()] == ["dev-a.tar.gz"]


def test_the_older_release_is_refused_by_name(small: Archive, tmp_path: Path) -> None:
    put(tmp_path, "dev-a.tar.gz", bytes(small.older_bytes))
    with pytest.raises(InputError, match=r"dev-a\.tar\.gz: an older release of LibriSpeech"):
        fetch_archives([small], tmp_path, NOBODY)


@pytest.mark.parametrize(("size", "message"), [(None, "wrong SHA-256"), (3, "3 bytes, must be")])
def test_a_damaged_archive_fetched_by_hand_is_refused_and_kept(
    small: Archive, tmp_path: Path, size: int | None, message: str
) -> None:
    damaged = bytes(small.bytes if size is None else size)
    put(tmp_path, "dev-a.tar.gz", damaged)
    with pytest.raises(InputError, match=message):
        fetch_archives([small], tmp_path, NOBODY)
    assert (tmp_path / "dev-a.tar.gz").read_bytes() == damaged


def test_too_little_disk_is_found_before_the_first_byte(
    serve: Callable[..., Any], give: Any, small: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(give)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": small.bytes - 1}))
    with pytest.raises(DiskFullError, match="of free disk"):
        fetch_archives([small], tmp_path / "new", [server.url])
    assert server.requests == [] and not (tmp_path / "new").exists()


def test_what_has_arrived_already_needs_no_disk(small: Archive, content: bytes, tmp_path: Path) -> None:
    put(tmp_path, "dev-a.tar.gz.partial", content[:100_000])
    put(tmp_path, "dev-b.tar.gz", content)
    archives = [small, replace(small, subset="dev-b")]
    assert missing_bytes(archives, tmp_path) == len(content) - 100_000
