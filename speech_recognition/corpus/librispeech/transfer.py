"""One archive over HTTP: from any number of broken answers to one file, byte by byte checked.

What has arrived stays in <archive>.partial, always the beginning of what some server
sent, so that a cut, a kill or another server costs nothing: the next answer is asked for
with Range (RFC 9110, section 14) from where the file ends.
"""

import hashlib
import os
import ssl
import stat
import threading
from io import FileIO
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.response import BaseHTTPResponse

from speech_recognition.corpus.librispeech.catalog import Archive
from speech_recognition.corpus.librispeech.connections import Patience, Watch, new_manager
from speech_recognition.errors import InputError

_READ_BYTES = 1 << 18
_REDIRECTS = 5


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
        if not os.path.lexists(self._partial):
            return
        with open(open_own(self._partial, os.O_RDONLY), "rb") as file:
            while piece := file.read(_READ_BYTES):
                self._digest.update(piece)
                self.done += len(piece)
                if self._stop.is_set():
                    return

    def receive(self, url: str) -> None:
        """Ask one server for what is missing; on return the file is complete and verified.

        Raises TransferError if it breaks off before, WrongContentError if the whole is not the archive, OSError of
        the partial file if that cannot be written.
        """
        begin = self.done
        if self.done < self.archive.bytes:
            begin = self._receive_rest(url)
        if self.done != self.archive.bytes or self._digest.hexdigest() != self.archive.sha256:
            self._start_over()
            if begin > 0:  # the fault may be in what was there before
                raise TransferError("the parts did not make the archive (wrong SHA-256)")
            raise WrongContentError("what it sends is not the archive (wrong SHA-256)")
        with open(open_own(self._partial, os.O_RDWR), "rb+") as file:
            os.fsync(file.fileno())
        os.replace(self._partial, self._path)

    def _receive_rest(self, url: str) -> int:
        """Take what one server sends of the missing bytes. Return where in the archive its answer began."""
        watch = Watch(self._patience, lambda: self.done)
        try:
            with watch:
                response = self._ask(url)
                try:
                    begin = self._check_answer(response)
                    watch.body_begins()
                    self._read(response)
                finally:
                    response.close()
        except (InputError, WrongContentError):
            raise
        except (TransferError, urllib3.exceptions.HTTPError, ssl.SSLError, ValueError) as error:
            raise TransferError(watch.reason or _reason(error)) from None
        return begin

    def _ask(self, url: str) -> BaseHTTPResponse:
        """Return the answer with the missing bytes, after redirects. Each request has a connection of its own."""
        timeout = urllib3.Timeout(connect=self._patience.connect, read=self._patience.read)
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={self.done}-"} if self.done else {})
        for _ in range(_REDIRECTS + 1):
            response = new_manager(url).request(
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
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with open(open_own(self._partial, flags), "ab", buffering=0) as file:
            while piece := response.read1(_READ_BYTES):
                self._keep(piece, file)
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

    def _keep(self, piece: bytes, file: FileIO) -> None:
        if self._stop.is_set():
            raise TransferError("stopped")
        if self.done + len(piece) > self.archive.bytes:
            self._start_over()
            raise WrongContentError("it sends more bytes than the archive has")
        self._write(piece, file)
        self._digest.update(piece)
        self.done += len(piece)

    def _write(self, piece: bytes, file: FileIO) -> None:
        """Without a buffer, as one that a full disk leaves behind would raise again when the file is closed."""
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            advice = f"{error.strerror}; what has arrived is kept: mend this and run again to go on from here"
            raise OSError(error.errno, advice, str(self._partial)) from None

    def _start_over(self) -> None:
        self._partial.unlink(missing_ok=True)
        self.done = 0
        self._digest = hashlib.sha256()


def _reason(error: Exception) -> str:
    """Return the words of an HTTP library's error, without its wrapping."""
    if isinstance(error, TransferError):
        return str(error)
    cause = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__.removesuffix('Error')}: {cause}"


def check_regular(path: Path) -> None:
    """Raise InputError if a folder, FIFO, device or dangling link lies at `path`."""
    if os.path.lexists(path) and not path.is_file():
        raise InputError(f"{path}: is no regular file; remove it")


def open_own(path: Path, flags: int) -> int:
    """Return a descriptor of a file of ours. Raises InputError if a link, FIFO or device lies there instead.

    None of them is followed or opened, not even one that is put there at the last moment.
    """
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise InputError(f"{path}: is no regular file; remove it")
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
