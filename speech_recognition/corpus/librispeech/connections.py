"""Connections to servers, through the user's proxy if there is one, and a watch that shuts slow ones down."""

import functools
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from speech_recognition.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Time limits of a download, in seconds, and the rate, in bytes per second, below which it is too slow."""

    connect: float = 15.0
    """Time limit of the connection to one address of a server."""
    read: float = 30.0
    """Longest time without a single byte."""
    answer: float = 60.0
    """Time limit from the first connection to the first byte of the body: proxies, TLS, redirects and headers."""
    window: float = 60.0
    """Time over which the rate is measured."""
    least_rate: float = 20_000.0
    """Lowest rate that is accepted. At this rate, the largest archive, 31 GB, would take 18 days."""
    first_pause: float = 1.0
    """Pause between two rounds of all mirrors; each fruitless round in a row doubles it."""
    longest_pause: float = 60.0
    """Longest pause, at which the doubling ends."""
    rounds: int = 5
    """Number of fruitless rounds in a row, all mirrors below `least_rate`, after which the download fails."""


class Watch:
    """Thread that shuts the connection of one download down if the answer begins too late or arrives too slowly.

    Time limits of single reads do not suffice: a server that sends a byte every few seconds keeps within each of
    them and the download never ends. The thread watches the clock until `body_begins`, and then, once per window,
    the growth of `count()`, the number of bytes that have arrived. It ends with the block.
    """

    def __init__(self, patience: Patience, count: Callable[[], int]) -> None:
        """Make the thread; the block starts it."""
        self.reason = ""
        """Reason for which the connection was shut down; empty if it was not."""
        self._patience, self._count = patience, count
        self._deadline = time.monotonic() + patience.answer
        self._body, self._over = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        _watch.set(self)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._body.set()
        self._thread.join()
        if self._socket is not None:
            self._socket.close()

    def body_begins(self) -> None:
        """End the time limit of the answer and begin to measure the rate."""
        self._body.set()

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a connection to the first address of `host` that accepts one. Raises OSError if none does in time.

        Only the resolver's own time limits apply to the look-up of the name.
        """
        failure: OSError = TimeoutError("no connection in time")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            connection = socket.socket(family, kind, protocol)
            # Each address has its own time limit, and all of them share the watch's deadline.
            connection.settimeout(min(left, self._patience.connect))
            try:
                connection.connect(address)
                # For the TLS handshake; urllib3 sets the limit of reads after it.
                connection.settimeout(self._patience.connect)
                self._hold(connection)
                return connection
            except OSError as error:
                connection.close()
                failure = error
        raise failure

    def _hold(self, connection: socket.socket) -> None:
        """Keep a duplicate of the socket to shut it down with. Raises TimeoutError if the watch has already ended.

        The TLS layer takes the original over and may close it at any time; its number could then belong to a
        different file of this process.
        """
        with self._lock:
            if self.reason:
                raise TimeoutError(self.reason)
            if self._socket is not None:
                self._socket.close()
            self._socket = connection.dup()

    def _run(self) -> None:
        """Wait for the body, then measure its rate, until the block ends or the connection is shut down."""
        # __exit__ sets both events, so that neither wait outlasts the block.
        if not self._body.wait(max(0.0, self._deadline - time.monotonic())):
            self._end(f"its answer did not begin within {self._patience.answer:g} s")
            return
        # Over whole windows: a rate over a second would shut down every connection that pauses for a moment.
        begin = self._count()
        while not self._over.wait(self._patience.window):
            rate = (self._count() - begin) / self._patience.window
            if rate < self._patience.least_rate:
                self._end(f"too slow, {rate / 1000:.1f} kB/s")
                return
            begin = self._count()

    def _end(self, reason: str) -> None:
        """Shut the connection down: a read that blocks in the download's thread then returns at once."""
        with self._lock:
            self.reason = reason
            if self._socket is not None:
                with suppress(OSError):  # the server may have closed it
                    self._socket.shutdown(socket.SHUT_RDWR)


_watch: ContextVar[Watch] = ContextVar("watch")
"""Watch of the current thread's download. It cannot be an argument, because urllib3 calls `_new_conn` itself."""


class _PlainConnection(HTTPConnection):
    """Connection of urllib3 that is made by the watch, which can then shut it down."""

    def _new_conn(self) -> socket.socket:
        return _watch.get().connect(self.host, self.port)


class _SecureConnection(HTTPSConnection):
    """Connection of urllib3 with TLS, over a socket that is made by the watch."""

    def _new_conn(self) -> socket.socket:
        return _watch.get().connect(self.host, self.port)


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def new_manager(url: str) -> urllib3.PoolManager:
    """Return a connection pool for one request inside a watch, through the proxy of the user's environment, if any.

    Raises InputError if the environment's variable is not the address of an HTTP proxy. The message does not show
    the address, which may contain a password.
    """
    parts = urlsplit(url)
    address = getproxies().get(parts.scheme)
    manager = urllib3.PoolManager(ssl_context=trust())
    # no_proxy lists hosts; a user and a password before the @ are not part of one.
    if address and not proxy_bypass(parts.netloc.rpartition("@")[2]):
        try:
            manager = _proxy(address)
        except (urllib3.exceptions.HTTPError, ValueError):
            raise InputError(
                f"{parts.scheme}_proxy: is not the address of an HTTP proxy; set it to http://HOST:PORT or unset it"
            ) from None
    # The proxy's own connection goes through these classes too.
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return manager


def _proxy(address: str) -> urllib3.ProxyManager:
    """Return the pool of a proxy, http:// if `address` has no scheme, with Basic authentication if it has a user."""
    url = urllib3.util.parse_url(address if "://" in address else f"http://{address}")
    if url.host is None:
        raise ValueError("no host")
    headers = urllib3.make_headers(proxy_basic_auth=unquote(url.auth)) if url.auth else None
    return urllib3.ProxyManager(url.url, proxy_headers=headers, proxy_ssl_context=trust(), ssl_context=trust())


@functools.cache
def trust() -> ssl.SSLContext:
    """Return the TLS settings, which trust the system's certificates and certifi's.

    A company's proxy may need a certificate of the system; a bare container has none but certifi's.
    """
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
