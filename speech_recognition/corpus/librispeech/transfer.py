"""Download of one archive over HTTP, from any number of broken answers to one verified file.

The bytes that have arrived stay in <archive>.partial, which is always the beginning of the
archive as servers sent it. A cut connection, a kill or a change of server therefore costs
nothing: the next request asks for the rest, with Range (RFC 9110, section 14).
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
"""Most bytes of one read. A stop is noticed after each read."""

_REDIRECTS = 5
"""Most redirects that are followed before a server is taken for one that redirects in a circle."""


class TransferError(Exception):
    """Failure of one server to send the whole file; the message is the reason in a few words."""


class WrongContentError(TransferError):
    """Content that is not the archive, so that asking this server again is pointless."""


class Transfer:
    """Download of one archive that continues where it stopped, whichever server sends the rest.

    Once `stop` is set, the download ends within one read.
    """

    def __init__(self, archive: Archive, folder: Path, patience: Patience, stop: threading.Event) -> None:
        """Make the download of `archive` into `folder`; nothing is requested yet."""
        self.archive = archive
        """Archive to download."""
        self._path = folder / archive.file
        self._partial = folder / f"{archive.file}.partial"
        self.done = self._partial.stat().st_size if self._partial.is_file() else 0
        """Number of bytes that have arrived, with those of an earlier program. Other threads may read it."""
        self._patience, self._stop = patience, stop
        self._digest = hashlib.sha256()

    def resume(self) -> None:
        """Count and hash the bytes that an earlier program left, so that they are not downloaded again.

        Raises InputError if the partial file is a link, FIFO or device.
        """
        if not os.path.lexists(self._partial):
            return
        count = 0
        with open(open_own(self._partial, os.O_RDONLY), "rb") as file:
            # hashlib cannot store a digest's state, so the bytes are read again: at 1.7 GB/s, 18 s for 31 GB.
            while piece := file.read(_READ_BYTES):
                self._digest.update(piece)
                count += len(piece)
                if self._stop.is_set():
                    return
        self.done = count

    def receive(self, url: str) -> None:
        """Request the missing bytes from one server; on return, the archive is complete, verified and on disk.

        Raises TransferError if the answer is an error or incomplete, WrongContentError if this server's content
        alone is not the archive, InputError if the proxy's address or the partial file is unusable, and OSError,
        naming the partial file, if it cannot be written.
        """
        begin = self.done
        if self.done < self.archive.bytes:
            begin = self._receive_rest(url)
        if self.done != self.archive.bytes or self._digest.hexdigest() != self.archive.sha256:
            self._start_over()
            if begin > 0:  # the fault may be in the bytes from a different server or an earlier program
                raise TransferError("the joined parts are not the archive (wrong SHA-256)")
            raise WrongContentError("its file is not the archive (wrong SHA-256)")
        with open(open_own(self._partial, os.O_RDWR), "rb+") as file:
            os.fsync(file.fileno())  # or a power cut after the rename could leave a file of zeros
        os.replace(self._partial, self._path)

    def _receive_rest(self, url: str) -> int:
        """Receive the missing bytes from one server; return the position in the archive where its answer began."""
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
        """Return the answer to the request for the missing bytes, after redirects; its body has not been read.

        Raises TransferError for too many redirects, or one from https to http.
        """
        # Redirects are followed here, where one from https to http is refused; the caller retries on the next mirror.
        timeout = urllib3.Timeout(connect=self._patience.connect, read=self._patience.read)
        # Positions count the archive's own bytes, so that no server may compress it.
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
        """Append the body of an answer to the partial file."""
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        with open(open_own(self._partial, flags), "ab", buffering=0) as file:
            while piece := response.read1(_READ_BYTES):
                self._keep(piece, file)
        if self.done < self.archive.bytes:
            raise TransferError(f"broke off after {self.done} of {self.archive.bytes} bytes")

    def _check_answer(self, response: BaseHTTPResponse) -> int:
        """Return the position in the archive where an answer's body begins, 0 if the server ignores Range.

        Raises TransferError for any status, length or range but the requested one.
        """
        if response.status not in (200, 206):
            # 416 too: this server's file ends before `done`, which says nothing against the bytes that have arrived.
            raise TransferError(f"HTTP {response.status} {response.reason or ''}".strip())
        begin = self.done if response.status == 206 else 0  # 200 is the whole archive: this server ignores Range
        expected = self.archive.bytes - begin
        length = response.headers.get("Content-Length")
        # A chunked answer states no length. Its bytes can only be counted at the end, after it has replaced the old.
        if length is None and begin < self.done:
            raise TransferError(f"it ignores Range and states no length; remove {self._partial.name} to begin anew")
        if length not in (None, str(expected)):
            raise TransferError(f"it offers {length} bytes, must be {expected}")
        content_range = f"bytes {begin}-{self.archive.bytes - 1}/{self.archive.bytes}"
        if response.status == 206 and response.headers.get("Content-Range") != content_range:
            raise TransferError(f"it sends the range {response.headers.get('Content-Range')!r}, not {content_range!r}")
        if begin < self.done:  # only now: a page with an error's text may have the status 200 too
            self._start_over()
        return begin

    def _keep(self, piece: bytes, file: FileIO) -> None:
        """Append one piece of the body to the file, the digest and the count."""
        if self._stop.is_set():
            raise TransferError("stopped")
        if self.done + len(piece) > self.archive.bytes:
            self._start_over()
            raise WrongContentError("it sends more bytes than the archive has")
        self._write(piece, file)
        self._digest.update(piece)
        self.done += len(piece)

    def _write(self, piece: bytes, file: FileIO) -> None:
        """Write all of `piece` to an unbuffered file. Raises OSError with advice for the user.

        A buffer that a full disk left unwritten would raise a second error when the file is closed.
        """
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError as error:
            advice = f"{error.strerror}; the bytes that have arrived are kept: fix this and run again to continue"
            raise OSError(error.errno, advice, str(self._partial)) from None

    def _start_over(self) -> None:
        """Discard all bytes that have arrived."""
        self._partial.unlink(missing_ok=True)
        self.done = 0
        self._digest = hashlib.sha256()


def _reason(error: Exception) -> str:
    """Return the innermost message of an error of the HTTP library, with the outer error's name."""
    if isinstance(error, TransferError):
        return str(error)
    cause = error.__cause__ or error.__context__ or error
    return f"{type(error).__name__.removesuffix('Error')}: {cause}"


def check_regular(path: Path) -> None:
    """Raise InputError if `path` is a folder, FIFO, device or broken link."""
    if os.path.lexists(path) and not path.is_file():
        raise InputError(f"{path}: is not a regular file; remove it")


def open_own(path: Path, flags: int) -> int:
    """Return a descriptor of a file that this program made or makes.

    Raises InputError if `path` is a link, FIFO or device. If one appears between this check and the opening, a
    link raises OSError instead of being followed, and a FIFO is not waited for.
    """
    if os.path.lexists(path) and not stat.S_ISREG(path.lstat().st_mode):
        raise InputError(f"{path}: is not a regular file; remove it")
    # O_NONBLOCK: opening a FIFO for reading would wait for a writer. O_CLOEXEC: no child process keeps the lock's file.
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
