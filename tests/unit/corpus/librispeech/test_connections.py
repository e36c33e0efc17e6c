"""Tests of downloads from servers that send too slowly, too late or without end, below HTTP, and through proxies."""

import base64
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.corpus.librispeech.catalog import Archive
from speech_recognition.corpus.librispeech.connections import Patience, new_manager
from speech_recognition.corpus.librispeech.download import fetch_archives
from speech_recognition.errors import DownloadError, InputError

HASTE = Patience(
    connect=5, read=5, answer=0.3, window=0.3, least_rate=50_000, first_pause=0.01, longest_pause=0.02, rounds=3
)
ONCE = Patience(connect=5, read=5, answer=0.3, window=0.3, least_rate=50_000, rounds=1)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 307200\r\n\r\n"
"""Head of an answer with the size of the small archive."""
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Fault = Callable[[socket.socket], None]


def drip(connection: socket.socket, data: bytes) -> None:
    """Send a byte every 20 ms: 50 bytes per second."""
    for value in data:
        connection.sendall(bytes([value]))
        time.sleep(0.02)


def slow_headers(connection: socket.socket) -> None:
    drip(connection, HEAD * 9)


def endless_continue(connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        time.sleep(0.001)


def slow_redirects(connection: socket.socket) -> None:
    time.sleep(0.12)
    connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /12/dev-a.tar.gz\r\nContent-Length: 0\r\n\r\n")


def silence(connection: socket.socket) -> None:
    time.sleep(2)


def slow_handshake(connection: socket.socket) -> None:
    drip(connection, b"\x16\x03\x03\x3f\xff" + bytes(1000))


def slow_body(connection: socket.socket) -> None:
    connection.sendall(HEAD)
    drip(connection, bytes(1000))


def slow_chunk_size(connection: socket.socket) -> None:
    connection.sendall(CHUNKED)
    drip(connection, b"1;" + b"x" * 1000)


def endless_trailers(connection: socket.socket) -> None:
    connection.sendall(CHUNKED + b"5\r\nbegin\r\n0\r\n")
    while True:
        connection.sendall(b"a: b\r\n")
        time.sleep(0.001)


SLOW = r"too slow, 0\.\d kB/s"


LATE = r"its answer did not begin within 0\.3 s"


def watches() -> list[threading.Thread]:
    """Return the threads of all watches that have not ended."""
    return [thread for thread in threading.enumerate() if thread.name == "watch"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (slow_headers, LATE),
        (endless_continue, LATE),
        (slow_redirects, LATE),
        (silence, LATE),
        (slow_body, SLOW),
        (slow_chunk_size, SLOW),
        (endless_trailers, SLOW),
    ],
)
@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_a_server_cannot_hold_a_download(
    small: Archive,
    serve: Callable[..., Any],
    anonymous: ssl.SSLContext,
    tmp_path: Path,
    fault: Fault,
    reason: str,
    secure: bool,
) -> None:
    server = serve(fault, tls=anonymous if secure else None)
    begin = time.monotonic()
    with pytest.raises(DownloadError, match=reason):
        fetch_archives([small], tmp_path, [server.url], ONCE)
    assert time.monotonic() - begin < 1.5
    assert watches() == []


def test_a_handshake_cannot_hold_a_download(small: Archive, serve: Callable[..., Any], tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(DownloadError, match=LATE):
        fetch_archives([small], tmp_path, [serve(slow_handshake, reads=False).url], ONCE)
    assert time.monotonic() - begin < 1.5


@pytest.mark.parametrize("fault", [slow_headers, slow_chunk_size])
def test_the_next_mirror_takes_over(
    small: Archive, content: bytes, give: Fault, serve: Callable[..., Any], tmp_path: Path, fault: Fault
) -> None:
    fetch_archives([small], tmp_path, [serve(fault).url, serve(give).url], HASTE)
    assert (tmp_path / small.file).read_bytes() == content
    assert watches() == []


@pytest.mark.parametrize("count", [1, 8])
def test_a_few_bytes_for_each_connection_are_no_progress(
    small: Archive, content: bytes, serve: Callable[..., Any], tmp_path: Path, count: int
) -> None:
    """Each connection brings a few new bytes and ends before its rate is measured."""
    server: Any = None

    def answer(connection: socket.socket) -> None:
        if len(server.requests) > 20:  # a download that goes on for ever fails the test
            server.close()
        begin = int(server.requests[-1].partition(b"bytes=")[2].partition(b"-")[0] or 0)
        status = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
        sizes = (begin, len(content) - 1, len(content))
        connection.sendall(status % sizes if begin else b"HTTP/1.1 200 OK\r\n\r\n")
        drip(connection, content[begin : begin + count])

    server = serve(answer)
    with pytest.raises(DownloadError, match=f"broke off after {count * HASTE.rounds} of "):
        fetch_archives([small], tmp_path, [server.url], HASTE)
    assert len(server.requests) == HASTE.rounds


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_is_asked_for_the_whole_address(
    small: Archive,
    content: bytes,
    give: Fault,
    serve: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    proxy = serve(give)
    monkeypatch.setenv(name, proxy.url.removesuffix("/12"))
    fetch_archives([small], tmp_path, ["http://mirror.invalid:81/12"], HASTE)
    assert (tmp_path / small.file).read_bytes() == content
    assert proxy.requests[0].startswith(b"GET http://mirror.invalid:81/12/dev-a.tar.gz HTTP/1.1\r\n")


@pytest.mark.parametrize("value", ["127.0.0.1", "localhost,127.0.0.0,127.0.0.1", "*"])
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_leads_past_it(
    small: Archive,
    give: Fault,
    serve: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
) -> None:
    proxy, server = serve(silence), serve(give)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv(name, value)
    fetch_archives([small], tmp_path, [server.url], HASTE)
    assert len(server.requests) == 1 and proxy.requests == []


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_https_goes_through_a_tunnel_with_the_users_password(
    small: Archive,
    content: bytes,
    give: Fault,
    head: Callable[[socket.socket], bytes],
    serve: Callable[..., Any],
    anonymous: ssl.SSLContext,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inner: list[bytes] = []

    def tunnel(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with anonymous.wrap_socket(connection, server_side=True) as secure:
            inner.append(head(secure))
            give(secure)

    proxy = serve(tunnel)
    monkeypatch.setenv("https_proxy", proxy.url.replace("http://", "me:p%40ss@"))  # without a scheme, which means http
    fetch_archives([small], tmp_path, ["https://mirror.invalid/12"], HASTE)
    assert (tmp_path / small.file).read_bytes() == content
    assert proxy.requests[0].startswith(b"CONNECT mirror.invalid:443 HTTP/1.")
    assert b"Basic " + base64.b64encode(b"me:p@ss") in proxy.requests[0].replace(b"basic", b"Basic")
    assert inner[0].startswith(b"GET /12/dev-a.tar.gz HTTP/1.1\r\n") and b"Proxy-" not in inner[0]


@pytest.mark.parametrize("fault", [slow_headers, silence])
def test_a_proxy_cannot_hold_a_download(
    small: Archive, serve: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setenv("https_proxy", serve(fault).url)
    begin = time.monotonic()
    with pytest.raises(DownloadError, match=LATE):
        fetch_archives([small], tmp_path, ["https://mirror.invalid/12"], ONCE)
    assert time.monotonic() - begin < 1.5


def test_each_scheme_has_its_own_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "https://proxy.example")
    manager = new_manager("https://mirror.invalid/12")
    assert str(manager.proxy) == "https://proxy.example:443"
    assert new_manager("http://mirror.invalid/12").proxy is None


@pytest.mark.parametrize("value", ["socks5://me:secret@host:1", "http://", "http://me:secret@host:port"])
def test_what_is_no_proxy_is_refused_without_its_password(
    small: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(InputError, match="http_proxy: is not the address of an HTTP proxy; set it") as caught:
        fetch_archives([small], tmp_path, ["http://mirror.invalid/12"], HASTE)
    assert "secret" not in str(caught.value)


LONG = b"\x1b[2J\x07\xe9" + b"long" * 10_000


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 500 " + LONG + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + LONG + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: " + LONG + b"://there\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://" + LONG + b"\r\n\r\n",
        b"HTTP/1.1 206 OK\r\nContent-Range: " + LONG + b"\r\n\r\n",
        b"HTTP/1.1 " + LONG + b"\r\n\r\n",
        LONG + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + LONG + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + LONG * 2 + b"\r\n\r\n",
        CHUNKED + LONG + b"\r\n",
    ],
)
def test_what_a_server_says_is_a_short_part_of_one_line(
    small: Archive, serve: Callable[..., Any], tmp_path: Path, answer: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    servers = [serve(lambda connection: connection.sendall(answer)) for _ in range(2)]
    with pytest.raises(DownloadError) as caught:
        fetch_archives([small], tmp_path, [server.url for server in servers], ONCE)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 700
    assert str(caught.value).endswith("; run again to continue")
    assert capfd.readouterr() == ("", "")
