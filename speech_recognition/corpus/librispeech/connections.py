"""Connections to a server, through the user's proxy if there is one, and a watch that ends those that take too long."""

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
    """How long to wait for a server, in seconds, and what counts as too slow, in bytes per second."""

    connect: float = 15.0
    read: float = 30.0
    answer: float = 60.0
    """from the first connection until the body begins: proxies, TLS, redirects and headers included"""
    window: float = 60.0
    """the rate is that of so long a time"""
    least_rate: float = 20_000.0
    first_pause: float = 1.0
    """after all mirrors have failed once; twice as long after each further round"""
    longest_pause: float = 60.0
    rounds: int = 5
    """of all mirrors with less than the least rate, until the download is given up"""


class Watch:
    """Shuts the connection of one download down if the answer begins too late or its body comes too slowly.

    A server that sends a byte now and then keeps every single read within its time limit. So a thread looks from
    outside: at the clock until `body_begins`, then at `count`, the bytes of the body, once in each window. It ends
    with the block.
    """

    def __init__(self, patience: Patience, count: Callable[[], int]) -> None:
        self.reason = ""
        """why the connection was shut down; empty if it was not"""
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
        """End the time limit for the answer, begin to measure the rate."""
        self._body.set()

    def connect(self, host: str, port: int) -> socket.socket:
        """Return a connection to the first address of `host` that takes one. Raises OSError if none does in time.

        The look-up of the name has the system's own time limits.
        """
        failure: OSError = TimeoutError("no connection in time")
        for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            connection = socket.socket(family, kind, protocol)
            connection.settimeout(min(left, self._patience.connect))
            try:
                connection.connect(address)
                connection.settimeout(self._patience.connect)
                self._hold(connection)
                return connection
            except OSError as error:
                connection.close()
                failure = error
        raise failure

    def _hold(self, connection: socket.socket) -> None:
        """Keep a descriptor of our own: TLS takes the other one over, and may have closed it when we need it."""
        with self._lock:
            if self.reason:
                raise TimeoutError(self.reason)
            if self._socket is not None:
                self._socket.close()
            self._socket = connection.dup()

    def _run(self) -> None:
        if not self._body.wait(max(0.0, self._deadline - time.monotonic())):
            self._end(f"its answer did not begin within {self._patience.answer:g} s")
            return
        begin = self._count()
        while not self._over.wait(self._patience.window):
            rate = (self._count() - begin) / self._patience.window
            if rate < self._patience.least_rate:
                self._end(f"too slow, {rate / 1000:.1f} kB/s")
                return
            begin = self._count()

    def _end(self, reason: str) -> None:
        with self._lock:
            self.reason = reason
            if self._socket is not None:
                with suppress(OSError):  # the server may have closed it
                    self._socket.shutdown(socket.SHUT_RDWR)


_watch: ContextVar[Watch] = ContextVar("watch")
"""The watch of this thread's download."""


class _PlainConnection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _watch.get().connect(self.host, self.port)


class _SecureConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _watch.get().connect(self.host, self.port)


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def new_manager(url: str) -> urllib3.PoolManager:
    """Return what makes the connection for one request within a watch, through a proxy if the user's variables say so.

    Raises InputError if the variable holds no HTTP proxy's address; its value, which may hold a password, is not shown.
    """
    parts = urlsplit(url)
    address = getproxies().get(parts.scheme)
    manager = urllib3.PoolManager(ssl_context=trust())
    if address and not proxy_bypass(parts.netloc.rpartition("@")[2]):
        try:
            manager = _proxy(address)
        except (urllib3.exceptions.HTTPError, ValueError):
            raise InputError(
                f"{parts.scheme}_proxy: is not the address of an HTTP proxy; set it to http://HOST:PORT or unset it"
            ) from None
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}
    return manager


def _proxy(address: str) -> urllib3.ProxyManager:
    url = urllib3.util.parse_url(address if "://" in address else f"http://{address}")
    if url.host is None:
        raise ValueError("no host")
    headers = urllib3.make_headers(proxy_basic_auth=unquote(url.auth)) if url.auth else None
    return urllib3.ProxyManager(url.url, proxy_headers=headers, proxy_ssl_context=trust(), ssl_context=trust())


@functools.cache
def trust() -> ssl.SSLContext:
    """Return the settings of TLS: the system's certificates and certifi's are trusted."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context
