"""Tests of the transfer of one archive: what a server may answer, and which files it may write."""

import os
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.corpus.librispeech.catalog import Archive
from speech_recognition.corpus.librispeech.connections import Patience
from speech_recognition.corpus.librispeech.download import fetch_archives
from speech_recognition.corpus.librispeech.transfer import Transfer, TransferError, WrongContentError
from speech_recognition.errors import DownloadError, InputError

HASTE = Patience(connect=5, read=5, answer=2, window=2, least_rate=50_000, rounds=1)

Fault = Callable[[socket.socket], None]


@pytest.fixture
def transfer(small: Archive, tmp_path: Path) -> Transfer:
    """Return the transfer of the small archive to an empty folder."""
    return Transfer(small, tmp_path, HASTE, threading.Event())


def sends(status: bytes, body: bytes, **headers: object) -> Fault:
    """Return a function that answers with a status, headers and a body. Underscores in headers stand for dashes."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return lambda connection: connection.sendall(b"HTTP/1.1 " + status + b"\r\n" + lines.encode() + b"\r\n" + body)


def test_a_whole_answer_becomes_the_archive(
    serve: Callable[..., Any], give: Fault, content: bytes, transfer: Transfer, tmp_path: Path
) -> None:
    server = serve(give)
    transfer.receive(f"{server.url}/dev-a.tar.gz")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"dev-a.tar.gz": content}
    assert transfer.done == len(content)
    assert b"Range:" not in server.requests[0]


def test_what_an_earlier_program_left_is_not_asked_for(
    serve: Callable[..., Any], content: bytes, transfer: Transfer, tmp_path: Path
) -> None:
    (tmp_path / "dev-a.tar.gz.partial").write_bytes(content[:1000])
    transfer.resume()
    assert transfer.done == 1000
    rest = f"bytes 1000-{len(content) - 1}/{len(content)}"
    server = serve(sends(b"206 Partial Content", content[1000:], Content_Range=rest))
    transfer.receive(f"{server.url}/dev-a.tar.gz")
    assert b"Range: bytes=1000-\r\n" in server.requests[0]
    assert (tmp_path / "dev-a.tar.gz").read_bytes() == content


def test_a_complete_partial_file_needs_no_server(content: bytes, transfer: Transfer, tmp_path: Path) -> None:
    (tmp_path / "dev-a.tar.gz.partial").write_bytes(content)
    transfer.resume()
    transfer.receive("http://mirror.invalid/12/dev-a.tar.gz")
    assert (tmp_path / "dev-a.tar.gz").read_bytes() == content


def test_a_server_is_blamed_only_for_bytes_that_are_all_its_own(
    serve: Callable[..., Any], content: bytes, transfer: Transfer, tmp_path: Path
) -> None:
    (tmp_path / "dev-a.tar.gz.partial").write_bytes(bytes(1000))
    transfer.resume()
    rest = f"bytes 1000-{len(content) - 1}/{len(content)}"
    with pytest.raises(TransferError, match="joined parts") as caught:
        transfer.receive(serve(sends(b"206 Partial Content", content[1000:], Content_Range=rest)).url)
    assert not isinstance(caught.value, WrongContentError)
    assert transfer.done == 0 and list(tmp_path.iterdir()) == []
    with pytest.raises(WrongContentError, match="wrong SHA-256"):
        transfer.receive(serve(sends(b"200 OK", bytes(len(content)))).url)
    assert transfer.done == 0 and list(tmp_path.iterdir()) == []


def test_a_server_with_a_shorter_file_does_not_block_the_next(
    serve: Callable[..., Any], give: Fault, content: bytes, transfer: Transfer, tmp_path: Path
) -> None:
    (tmp_path / "dev-a.tar.gz.partial").write_bytes(content[:1000])
    transfer.resume()
    with pytest.raises(TransferError, match="HTTP 416"):
        transfer.receive(serve(sends(b"416 Range Not Satisfiable", b"", Content_Length=0)).url)
    assert transfer.done == 1000  # its file says nothing against these bytes
    transfer.receive(serve(give).url)
    assert (tmp_path / "dev-a.tar.gz").read_bytes() == content


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"Content_Length": 11}, "it offers 11 bytes, must be 307200"),
        ({}, r"it ignores Range and states no length; remove dev-a\.tar\.gz\.partial to begin anew"),
    ],
)
def test_a_page_in_place_of_the_archive_costs_no_bytes(
    serve: Callable[..., Any], content: bytes, transfer: Transfer, tmp_path: Path, headers: dict[str, int], reason: str
) -> None:
    (tmp_path / "dev-a.tar.gz.partial").write_bytes(content[:1000])
    transfer.resume()
    with pytest.raises(TransferError, match=reason):
        transfer.receive(serve(sends(b"200 OK", b"please sign", **headers)).url)
    assert transfer.done == 1000 and (tmp_path / "dev-a.tar.gz.partial").read_bytes() == content[:1000]


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_redirect_from_https_to_http_is_refused(
    serve: Callable[..., Any], give: Fault, anonymous: ssl.SSLContext, transfer: Transfer, tmp_path: Path
) -> None:
    plain = serve(give)
    secure = serve(sends(b"302 Found", b"", Location=plain.url, Content_Length=0), tls=anonymous)
    with pytest.raises(TransferError, match="redirects from https to http"):
        transfer.receive(secure.url)
    assert plain.requests == [] and list(tmp_path.iterdir()) == []


def test_a_stopped_transfer_keeps_what_has_arrived(
    serve: Callable[..., Any], small: Archive, content: bytes, tmp_path: Path
) -> None:
    stop = threading.Event()
    transfer = Transfer(small, tmp_path, HASTE, stop)

    def stops_halfway(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + content[:5000])
        while transfer.done < 5000:
            time.sleep(0.01)
        stop.set()
        connection.sendall(content[5000:])

    with pytest.raises(TransferError, match="stopped"):
        transfer.receive(serve(stops_halfway).url)
    assert (tmp_path / "dev-a.tar.gz.partial").read_bytes() == content[:5000]


def link(path: Path) -> None:
    """Make a link to a file of somebody else."""
    path.symlink_to(path.parent.parent / "theirs")


def dangling_link(path: Path) -> None:
    """Make a link to a file that does not exist."""
    path.symlink_to("nowhere")


@pytest.mark.parametrize(
    ("name", "make"),
    [
        *((".lock", make) for make in (link, dangling_link, os.mkfifo, os.mkdir)),
        *(("dev-a.tar.gz.partial", make) for make in (link, dangling_link, os.mkfifo, os.mkdir)),
        *(("dev-a.tar.gz", make) for make in (dangling_link, os.mkfifo, os.mkdir)),
    ],
)
def test_what_is_no_file_of_ours_is_neither_followed_nor_opened(
    small: Archive, give: Fault, serve: Callable[..., Any], tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    path = tmp_path / "archives" / name
    path.parent.mkdir()
    make(path)
    server = serve(give)
    with pytest.raises(InputError) as caught:
        fetch_archives([small], path.parent, [server.url], HASTE)
    assert str(caught.value) == f"{path}: is not a regular file; remove it"
    assert theirs.read_bytes() == b"theirs" and os.path.lexists(path)
    assert not (path.parent / "nowhere").exists() and server.requests == []


def test_a_device_is_not_opened(small: Archive, give: Fault, serve: Callable[..., Any], tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / ".lock", 0o600 | 0o020000, os.makedev(1, 7))  # /dev/full's numbers
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(InputError, match="is not a regular file"):
        fetch_archives([small], tmp_path, [serve(give).url], HASTE)


def test_an_archive_may_be_a_link_to_where_it_lies(small: Archive, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(content)
    (tmp_path / small.file).symlink_to("elsewhere")
    assert fetch_archives([small], tmp_path, [], HASTE) == [tmp_path / small.file]


def test_a_lock_keeps_its_content(small: Archive, give: Fault, serve: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("a note")
    fetch_archives([small], tmp_path, [serve(give).url], HASTE)
    assert (tmp_path / ".lock").read_text() == "a note"


def test_a_full_disk_keeps_what_has_arrived(
    small: Archive, content: bytes, give: Fault, serve: Callable[..., Any], tmp_path: Path
) -> None:
    """The limit for the size of a file stands in for a full disk: it cuts one write short and refuses the next."""
    server = serve(give)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_001, limits[1]))
    try:
        with pytest.raises(OSError, match="the bytes that have arrived are kept: fix this and run again") as caught:
            fetch_archives([small], tmp_path, [server.url], HASTE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    partial = tmp_path / f"{small.file}.partial"
    assert caught.value.filename == str(partial)
    assert partial.read_bytes() == content[:150_001]
    with pytest.raises(DownloadError):
        fetch_archives([small], tmp_path, [serve(sends(b"503 Unavailable", b"")).url], HASTE)
    assert partial.read_bytes() == content[:150_001]
