"""Tests of downloads in processes of their own: one that is killed, and a second one to the same folder."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.commands import ROOT
from speech_recognition.corpus.librispeech.catalog import Archive
from speech_recognition.corpus.librispeech.download import fetch_archives
from speech_recognition.errors import InputError

PROGRAM = """
import json, signal, sys
from pathlib import Path
from speech_recognition.corpus.librispeech.catalog import Archive
from speech_recognition.corpus.librispeech.download import fetch_archives
# A shell that runs the tests in the background has its children ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
fetch_archives([Archive(**json.loads(sys.argv[1]))], Path(sys.argv[2]), [sys.argv[3]])
"""


@pytest.fixture
def slow(serve: Callable[..., Any], content: bytes) -> Any:
    """Return a server that sends 5 kB of the small archive per second."""

    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content))
        for position in range(0, len(content), 100):
            connection.sendall(content[position : position + 100])
            time.sleep(0.02)

    return serve(trickle)


def start_program(archive: Archive, folder: Path, url: str) -> "subprocess.Popen[str]":
    """Start a download in a process; return it when the first bytes are in the folder."""
    command = [sys.executable, "-c", PROGRAM, json.dumps(asdict(archive)), str(folder), url]
    program = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.PIPE, text=True)
    partial, end = folder / f"{archive.file}.partial", time.monotonic() + 20
    while not (partial.exists() and partial.stat().st_size > 500):
        assert time.monotonic() < end
        time.sleep(0.02)
    return program


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_goes_on_where_it_was(
    slow: Any, serve: Callable[..., Any], small: Archive, content: bytes, tmp_path: Path, number: signal.Signals
) -> None:
    with start_program(small, tmp_path, slow.url) as program:
        program.send_signal(number)
        program.communicate(timeout=10)
    assert program.returncode != 0
    size = (tmp_path / "dev-a.tar.gz.partial").stat().st_size
    assert 500 < size < len(content)
    head = f"HTTP/1.1 206 Partial Content\r\nContent-Length: {len(content) - size}\r\n"
    head += f"Content-Range: bytes {size}-{len(content) - 1}/{len(content)}\r\n\r\n"
    rest = serve(lambda connection: connection.sendall(head.encode() + content[size:]))
    fetch_archives([small], tmp_path, [rest.url])
    assert (tmp_path / "dev-a.tar.gz").read_bytes() == content
    assert [f"Range: bytes={size}-\r\n".encode() in request for request in rest.requests] == [True]


def test_a_second_download_into_the_same_folder_is_refused(slow: Any, small: Archive, tmp_path: Path) -> None:
    with start_program(small, tmp_path, slow.url) as program:
        with pytest.raises(InputError, match="another download is running there"):
            fetch_archives([small], tmp_path, [slow.url])
        program.kill()
