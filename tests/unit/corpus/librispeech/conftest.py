"""A server that does the same on every connection, below HTTP, an archive that it has, and a place for a dataset."""

import hashlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from speech_recognition.corpus.librispeech import connections
from speech_recognition.corpus.librispeech.catalog import Archive

_CONTENT = bytes(range(256)) * 1200


Fault = Callable[[socket.socket], None]


class Server:
    """Server that does the same on every connection; `requests` has the head of each request.

    If not `reads`, it does so before it has read a request, and claims to speak TLS.
    """

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
                self.requests.append(_head(connection))
            self._fault(connection)
        except OSError:  # the client has gone
            pass
        finally:
            connection.close()

    def close(self) -> None:
        """Stop listening."""
        with suppress(OSError):  # closed by its test
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def _head(connection: socket.socket) -> bytes:
    """Return a request up to its empty line. Raises OSError if the client goes away before."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise OSError
        received += byte
    return received


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server."""
    started: list[Server] = []

    def start(fault: Fault, tls: ssl.SSLContext | None = None, reads: bool = True) -> Server:
        started.append(Server(fault, tls, reads))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def content() -> bytes:
    """Return the bytes of a small archive."""
    return _CONTENT


@pytest.fixture(scope="session")
def small() -> Archive:
    """Return the catalog's entry of the small archive."""
    return Archive("dev-a", len(_CONTENT), "", hashlib.sha256(_CONTENT).hexdigest(), 0.1, 1, 1, 400_000)


@pytest.fixture(scope="session")
def head() -> Callable[[socket.socket], bytes]:
    """Return a function that reads a request up to its empty line."""
    return _head


@pytest.fixture(scope="session")
def give() -> Fault:
    """Return a function that answers with the whole small archive."""
    start = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(_CONTENT)
    return lambda connection: connection.sendall(start + _CONTENT)


@pytest.fixture
def anonymous(monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return TLS settings of a server without a certificate, which the client under test accepts."""

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


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """Return the path of a dataset to be made."""
    return tmp_path / "dataset"
