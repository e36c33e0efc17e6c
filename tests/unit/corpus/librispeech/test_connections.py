"""Downloads from servers that send what they like when they like, below HTTP; through proxies; beside odd files."""

import base64
import hashlib
import os
import resource
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from speech_recognition.corpus.librispeech import connections
from speech_recognition.corpus.librispeech.catalog import Archive
from speech_recognition.corpus.librispeech.connections import Patience, new_manager
from speech_recognition.corpus.librispeech.download import fetch_archives
from speech_recognition.errors import DownloadError, InputError

CONTENT = bytes(range(256)) * 1200
ARCHIVE = Archive("dev-a", len(CONTENT), "", hashlib.sha256(CONTENT).hexdigest(), 0.1, 1, 1, 400_000)
HASTE = Patience(
    connect=5, read=5, answer=0.3, window=0.3, least_rate=50_000, first_pause=0.01, longest_pause=0.02, rounds=3
)
ONCE = Patience(connect=5, read=5, answer=0.3, window=0.3, least_rate=50_000, rounds=1)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(CONTENT)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

Fault = Callable[[socket.socket], None]


class Server:
    """Does the same on every connection; `requests` has the head of each request."""

    def __init__(self, fault: Fault, tls: ssl.SSLContext | None = None, reads: bool = True) -> None:
        self.requests: list[bytes] = []
        self._fault, self._tls, self._reads = fault, tls, reads
        self._socket = socket.create_server(("127.0.0.1", 0))
        scheme = "https" if tls or not reads else "http"
        self.url = f"{scheme}://127.0.0.1:{self._socket.getsockname()[1]}/12"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection = self._socket.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            if self._reads:
                self.requests.append(head(connection))
            self._fault(connection)
        except OSError:  # the client has gone
            pass
        finally:
            connection.close()

    def close(self) -> None:
        with suppress(OSError):  # closed by its test
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    started: list[Server] = []

    def start(fault: Fault, tls: ssl.SSLContext | None = None, reads: bool = True) -> Server:
        started.append(Server(fault, tls, reads))
        return started[-1]

    yield start
    for server in started:
        server.close()


Serve = Callable[..., Server]


def head(connection: socket.socket) -> bytes:
    """The request up to its empty line."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise OSError
        received += byte
    return received


def give(connection: socket.socket) -> None:
    connection.sendall(HEAD + CONTENT)


def drip(connection: socket.socket, data: bytes) -> None:
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
    drip(connection, CONTENT)


def slow_chunk_size(connection: socket.socket) -> None:
    connection.sendall(CHUNKED)
    drip(connection, b"1;" + b"x" * 1000)


def endless_trailers(connection: socket.socket) -> None:
    connection.sendall(CHUNKED + b"5\r\n" + CONTENT[:5] + b"\r\n0\r\n")
    while True:
        connection.sendall(b"a: b\r\n")
        time.sleep(0.001)


SLOW = r"too slow, 0\.\d kB/s"
LATE = r"its answer did not begin within 0\.3 s"


def watches() -> list[threading.Thread]:
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
    serve: Serve, anonymous: ssl.SSLContext, tmp_path: Path, fault: Fault, reason: str, secure: bool
) -> None:
    server = serve(fault, tls=anonymous if secure else None)
    begin = time.monotonic()
    with pytest.raises(DownloadError, match=reason):
        fetch_archives([ARCHIVE], tmp_path, [server.url], ONCE)
    assert time.monotonic() - begin < 1.5
    assert watches() == []


def test_a_handshake_cannot_hold_a_download(serve: Serve, tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(DownloadError, match=LATE):
        fetch_archives([ARCHIVE], tmp_path, [serve(slow_handshake, reads=False).url], ONCE)
    assert time.monotonic() - begin < 1.5


@pytest.mark.parametrize("fault", [slow_headers, slow_chunk_size])
def test_the_next_mirror_takes_over(serve: Serve, tmp_path: Path, fault: Fault) -> None:
    fetch_archives([ARCHIVE], tmp_path, [serve(fault).url, serve(give).url], HASTE)
    assert (tmp_path / ARCHIVE.file).read_bytes() == CONTENT
    assert watches() == []


@pytest.mark.parametrize("count", [1, 8])
def test_a_few_bytes_for_each_connection_are_no_progress(serve: Serve, tmp_path: Path, count: int) -> None:
    """Each connection brings bytes that none before has brought, and ends before its rate is measured."""
    server: Server

    def answer(connection: socket.socket) -> None:
        if len(server.requests) > 20:  # a download that goes on for ever fails the test
            server.close()
        begin = int(server.requests[-1].partition(b"bytes=")[2].partition(b"-")[0] or 0)
        status = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes %d-%d/%d\r\n\r\n"
        sizes = (begin, len(CONTENT) - 1, len(CONTENT))
        connection.sendall(status % sizes if begin else b"HTTP/1.1 200 OK\r\n\r\n")
        drip(connection, CONTENT[begin : begin + count])

    server = serve(answer)
    with pytest.raises(DownloadError, match=f"broke off after {count * HASTE.rounds} of "):
        fetch_archives([ARCHIVE], tmp_path, [server.url], HASTE)
    assert len(server.requests) == HASTE.rounds


@pytest.fixture
def anonymous(monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """TLS without certificates, at both ends."""

    def context(protocol: int) -> ssl.SSLContext:
        made = ssl.SSLContext(protocol)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers("aNULL:@SECLEVEL=0")
        return made

    client = context(ssl.PROTOCOL_TLS_CLIENT)
    monkeypatch.setattr(connections, "trust", lambda: client)
    return context(ssl.PROTOCOL_TLS_SERVER)


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY"])
def test_a_proxy_is_asked_for_the_whole_address(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    proxy = serve(give)
    monkeypatch.setenv(name, proxy.url.removesuffix("/12"))
    fetch_archives([ARCHIVE], tmp_path, ["http://mirror.invalid:81/12"], HASTE)
    assert (tmp_path / ARCHIVE.file).read_bytes() == CONTENT
    assert proxy.requests[0].startswith(b"GET http://mirror.invalid:81/12/dev-a.tar.gz HTTP/1.1\r\n")


@pytest.mark.parametrize("value", ["127.0.0.1", "localhost,127.0.0.0,127.0.0.1", "*"])
@pytest.mark.parametrize("name", ["no_proxy", "NO_PROXY"])
def test_no_proxy_leads_past_it(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    proxy, server = serve(silence), serve(give)
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv(name, value)
    fetch_archives([ARCHIVE], tmp_path, [server.url], HASTE)
    assert len(server.requests) == 1 and proxy.requests == []


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_https_goes_through_a_tunnel_with_the_users_password(
    serve: Serve, anonymous: ssl.SSLContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner: list[bytes] = []

    def tunnel(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with anonymous.wrap_socket(connection, server_side=True) as secure:
            inner.append(head(secure))
            give(secure)

    proxy = serve(tunnel)
    monkeypatch.setenv("https_proxy", proxy.url.replace("http://", "me:p%40ss@"))  # no scheme: http is meant
    fetch_archives([ARCHIVE], tmp_path, ["https://mirror.invalid/12"], HASTE)
    assert (tmp_path / ARCHIVE.file).read_bytes() == CONTENT
    assert proxy.requests[0].startswith(b"CONNECT mirror.invalid:443 HTTP/1.")
    assert b"Basic " + base64.b64encode(b"me:p@ss") in proxy.requests[0].replace(b"basic", b"Basic")
    assert inner[0].startswith(b"GET /12/dev-a.tar.gz HTTP/1.1\r\n") and b"Proxy-" not in inner[0]


@pytest.mark.parametrize("fault", [slow_headers, silence])
def test_a_proxy_cannot_hold_a_download(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Fault
) -> None:
    monkeypatch.setenv("https_proxy", serve(fault).url)
    begin = time.monotonic()
    with pytest.raises(DownloadError, match=LATE):
        fetch_archives([ARCHIVE], tmp_path, ["https://mirror.invalid/12"], ONCE)
    assert time.monotonic() - begin < 1.5


def test_each_scheme_has_its_own_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "https://proxy.example")
    manager = new_manager("https://mirror.invalid/12")
    assert str(manager.proxy) == "https://proxy.example:443"
    assert new_manager("http://mirror.invalid/12").proxy is None


@pytest.mark.parametrize("value", ["socks5://me:secret@host:1", "http://", "http://me:secret@host:port"])
def test_what_is_no_proxy_is_refused_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("http_proxy", value)
    with pytest.raises(InputError, match="http_proxy: is not the address of an HTTP proxy; set it") as caught:
        fetch_archives([ARCHIVE], tmp_path, ["http://mirror.invalid/12"], HASTE)
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
    serve: Serve, tmp_path: Path, answer: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    servers = [serve(lambda connection: connection.sendall(answer)) for _ in range(2)]
    with pytest.raises(DownloadError) as caught:
        fetch_archives([ARCHIVE], tmp_path, [server.url for server in servers], ONCE)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 700
    assert str(caught.value).endswith("; run again to continue")
    assert capfd.readouterr() == ("", "")


def link(path: Path) -> None:
    path.symlink_to(path.parent.parent / "theirs")


def dangling_link(path: Path) -> None:
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
    serve: Serve, tmp_path: Path, name: str, make: Callable[[Path], None]
) -> None:
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    path = tmp_path / "archives" / name
    path.parent.mkdir()
    make(path)
    server = serve(give)
    with pytest.raises(InputError) as caught:
        fetch_archives([ARCHIVE], path.parent, [server.url], HASTE)
    assert str(caught.value) == f"{path}: is not a regular file; remove it"
    assert theirs.read_bytes() == b"theirs" and os.path.lexists(path)
    assert not (path.parent / "nowhere").exists() and server.requests == []


def test_a_device_is_not_opened(serve: Serve, tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / ".lock", 0o600 | 0o020000, os.makedev(1, 7))  # that of /dev/full
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(InputError, match="is not a regular file"):
        fetch_archives([ARCHIVE], tmp_path, [serve(give).url], HASTE)


def test_an_archive_may_be_a_link_to_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(CONTENT)
    (tmp_path / ARCHIVE.file).symlink_to("elsewhere")
    assert fetch_archives([ARCHIVE], tmp_path, [], HASTE) == [tmp_path / ARCHIVE.file]


def test_a_lock_keeps_its_content(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("a note")
    fetch_archives([ARCHIVE], tmp_path, [serve(give).url], HASTE)
    assert (tmp_path / ".lock").read_text() == "a note"


def test_a_full_disk_keeps_what_has_arrived(serve: Serve, tmp_path: Path) -> None:
    """A limit for the size of files stands for it: as there, a part of a piece is written, then an error comes."""
    server = serve(give)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_001, limits[1]))
    try:
        with pytest.raises(OSError, match="the bytes that have arrived are kept: fix this and run again") as caught:
            fetch_archives([ARCHIVE], tmp_path, [server.url], HASTE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    partial = tmp_path / f"{ARCHIVE.file}.partial"
    assert caught.value.filename == str(partial)
    assert partial.read_bytes() == CONTENT[:150_001]
    with pytest.raises(DownloadError):
        fetch_archives([ARCHIVE], tmp_path, [serve(silence).url], ONCE)
    assert partial.read_bytes() == CONTENT[:150_001]
