"""One archive over HTTP: from any number of broken answers to one file, byte by byte checked.

What has arrived stays in <archive>.partial, always the beginning of what some server
sent, so that a cut, a kill or another server costs nothing: the next answer is asked for
with Range (RFC 9110, section 14) from where the file ends.
"""

import hashlib
import os
import ssl
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urljoin, urlsplit

import certifi
import urllib3
from urllib3.response import BaseHTTPResponse

from speech_recognition.corpus.catalog import Archive

_READ_BYTES = 1 << 18
_REDIRECTS = 5


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait for a server, in seconds, and what counts as too slow, in bytes per second."""

    connect: float = 15.0
    read: float = 30.0
    window: float = 60.0
    """the rate is that of so long a time"""
    least_rate: float = 20_000.0
    first_pause: float = 1.0
    """after all mirrors have failed once; twice as long after each further round"""
    longest_pause: float = 60.0
    rounds: int = 5
    """of all mirrors without a new byte, until the download is given up"""


class TransferError(Exception):
    """This server did not give the whole file; the message says why in a few words."""


class WrongContentError(TransferError):
    """This server gave another file."""


class Transfer:
    """A download that goes on where it was, whichever server sends the rest.

    `done` counts the bytes that have arrived; other threads may read it.
    """

    def __init__(self, archive: Archive, folder: Path, patience: Patience, stop: threading.Event) -> None:
        self.archive = archive
        self.done = 0
        self._path = folder / archive.file
        self._partial = folder / f"{archive.file}.partial"
        self._patience, self._stop = patience, stop
        self._digest = hashlib.sha256()

    def resume(self) -> None:
        """Take up what an earlier program left."""
        if not self._partial.exists():
            return
        with self._partial.open("rb") as file:
            while piece := file.read(_READ_BYTES):
                self._digest.update(piece)
                self.done += len(piece)
                if self._stop.is_set():
                    return

    def receive(self, pool: urllib3.PoolManager, url: str) -> None:
        """Ask one server for what is missing; on return the file is complete and verified.

        Raises TransferError if it breaks off before, WrongContentError if the whole is not the archive.
        """
        begin = self.done
        try:
            if self.done < self.archive.bytes:
                response = self._ask(pool, url)
                try:
                    begin = self._check_answer(response)
                    self._read(response)
                finally:
                    response.close()
        except (urllib3.exceptions.HTTPError, ssl.SSLError, ValueError) as error:
            raise TransferError(_reason(error)) from None
        if self.done != self.archive.bytes or self._digest.hexdigest() != self.archive.sha256:
            self._start_over()
            if begin > 0:  # the fault may be in what was there before
                raise TransferError("the parts did not make the archive (wrong SHA-256)")
            raise WrongContentError("what it sends is not the archive (wrong SHA-256)")
        with self._partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._partial, self._path)

    def _ask(self, pool: urllib3.PoolManager, url: str) -> BaseHTTPResponse:
        """The answer with the missing bytes, after redirects."""
        timeout = urllib3.Timeout(connect=self._patience.connect, read=self._patience.read)
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={self.done}-"} if self.done else {})
        for _ in range(_REDIRECTS + 1):
            response = pool.request(
                "GET",
                url,
                headers=headers,
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            location = response.get_redirect_location()
            if not location:
                return response
            response.close()
            target = urljoin(url, location)
            if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
                raise TransferError("it redirects from https to http")
            url = target
        raise TransferError(f"more than {_REDIRECTS} redirects")

    def _read(self, response: BaseHTTPResponse) -> None:
        with self._partial.open("ab") as file:
            begin, begin_bytes = time.monotonic(), self.done
            while piece := response.read1(_READ_BYTES):
                self._keep(piece, file)
                elapsed = time.monotonic() - begin
                if elapsed >= self._patience.window:
                    rate = (self.done - begin_bytes) / elapsed
                    if rate < self._patience.least_rate:
                        raise TransferError(f"too slow, {rate / 1000:.1f} kB/s")
                    begin, begin_bytes = time.monotonic(), self.done
        if self.done < self.archive.bytes:
            raise TransferError(f"broke off after {self.done} of {self.archive.bytes} bytes")

    def _check_answer(self, response: BaseHTTPResponse) -> int:
        """Where in the archive the answer begins: at 0 if the server ignores Range."""
        if response.status not in (200, 206):
            if response.status == 416:  # it has no such range: perhaps another file
                self._start_over()
            raise TransferError(f"HTTP {response.status} {response.reason or ''}".strip())
        if response.status == 200 and self.done:
            self._start_over()
        expected = self.archive.bytes - self.done
        length = response.headers.get("Content-Length", str(expected))
        if length != str(expected):
            raise TransferError(f"it offers {length} bytes, must be {expected}")
        content_range = f"bytes {self.done}-{self.archive.bytes - 1}/{self.archive.bytes}"
        if response.status == 206 and response.headers.get("Content-Range") != content_range:
            raise TransferError(f"it sends the range {response.headers.get('Content-Range')!r}, not {content_range!r}")
        return self.done

    def _keep(self, piece: bytes, file: BinaryIO) -> None:
        if self._stop.is_set():
            raise TransferError("stopped")
        if self.done + len(piece) > self.archive.bytes:
            self._start_over()
            raise WrongContentError("it sends more bytes than the archive has")
        file.write(piece)
        file.flush()
        self._digest.update(piece)
        self.done += len(piece)

    def _start_over(self) -> None:
        self._partial.unlink(missing_ok=True)
        self.done = 0
        self._digest = hashlib.sha256()


def _reason(error: Exception) -> str:
    """The words of an HTTP library's error, without its wrapping."""
    cause = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__.removesuffix('Error')}: {cause}".replace("\n", " ")


def new_pool() -> urllib3.PoolManager:
    """Connections that trust the system's certificates and certifi's."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return urllib3.PoolManager(ssl_context=context, maxsize=8)
