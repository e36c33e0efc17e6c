"""Download of archives from mirrors to a folder, each complete and verified.

An archive that is already in the folder, downloaded by hand or by an earlier program, is not
downloaded again; its size and SHA-256 are checked instead.
"""

import fcntl
import hashlib
import os
import queue
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from speech_recognition.corpus.librispeech.catalog import Archive
from speech_recognition.corpus.librispeech.connections import Patience
from speech_recognition.corpus.librispeech.transfer import (
    Transfer,
    TransferError,
    WrongContentError,
    check_regular,
    open_own,
)
from speech_recognition.corpus.parallel import in_threads
from speech_recognition.errors import DownloadError, InputError, one_line
from speech_recognition.files import check_writable
from speech_recognition.runtime.progress import Progress

_AT_ONCE = 3
"""Number of archives that are downloaded at the same time."""

_POLL_SECONDS = 0.2
"""Time between two updates of the progress bar."""

_LONGEST_REASON = 200
"""Most characters of one mirror's reason in the message."""


def fetch_archives(
    archives: Sequence[Archive], folder: Path, mirrors: Sequence[str], patience: Patience | None = None
) -> list[Path]:
    """Complete every archive in `folder` and check its SHA-256 against the catalog; return the paths of the archives.

    Raises InputError if the folder cannot be written, is in use by a second download, or holds an archive with
    different content; DiskFullError if its disk has too little space; DownloadError if no mirror completes an archive.
    """
    # By size first, which takes no time: hashing the 61 GB of all archives can take minutes.
    check_present(archives, folder)
    missing = [each for each in archives if not (folder / each.file).exists()]
    _verify([each for each in archives if each not in missing], folder)
    if missing:
        check_writable(folder, missing_bytes(missing, folder), "--archives")
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            _fetch(missing, folder, mirrors, patience or Patience())
    return [folder / each.file for each in archives]


def missing_bytes(archives: Sequence[Archive], folder: Path) -> int:
    """Return the number of bytes that are still to be downloaded."""
    sizes = {each.file: each.bytes for each in archives}
    there = sum(_size(folder / name) or _size(folder / f"{name}.partial") for name in sizes)
    return max(0, sum(sizes.values()) - there)


def _size(path: Path) -> int:
    """Return the size of a file in bytes; 0 if there is no regular file."""
    return path.stat().st_size if path.is_file() else 0


def check_present(archives: Sequence[Archive], folder: Path) -> None:
    """Raise InputError if an archive in `folder` is not a regular file or does not have the catalog's size."""
    for archive in archives:
        path = folder / archive.file
        check_regular(path)
        size = _size(path)
        # Both releases use the same file names, so a user may well have the older one from years ago.
        if path.exists() and size == archive.older_bytes:
            raise InputError(f"{path}: an older release of LibriSpeech with different content; remove it and run again")
        if path.exists() and size != archive.bytes:
            raise InputError(f"{path}: {size} bytes, must be {archive.bytes}; remove it and run again")


def _verify(archives: Sequence[Archive], folder: Path) -> None:
    """Raise InputError if an archive in `folder` does not have the catalog's SHA-256."""

    def digest(archive: Archive) -> str:
        """Return the SHA-256 of an archive in the folder, in hex."""
        with (folder / archive.file).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    with (
        Progress("verify archives", len(archives), "archives") as progress,
        in_threads(digest, archives, None) as found,
    ):
        for archive, sha256 in zip(archives, found, strict=True):
            if sha256 != archive.sha256:
                raise InputError(f"{folder / archive.file}: damaged (wrong SHA-256); remove it and run again")
            progress.advance(1, archive.subset)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second program from downloading to the same folder. The system releases the lock of a killed program.

    Raises InputError if a different program holds the lock.
    """
    with open(open_own(folder / ".lock", os.O_RDWR | os.O_CREAT), "rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"--archives {folder}: another download is running there; wait for it") from None
        yield


def _fetch(archives: Sequence[Archive], folder: Path, mirrors: Sequence[str], patience: Patience) -> None:
    """Download the archives, several at a time. Raises as `_wait` does.

    Daemon threads, unlike an executor's, do not keep the program alive when a server lets them hang.
    """
    stop, waiting, ended = threading.Event(), queue.SimpleQueue[Transfer](), queue.SimpleQueue[Exception | None]()
    transfers = [Transfer(archive, folder, patience, stop) for archive in archives]
    for transfer in transfers:
        waiting.put(transfer)

    def work() -> None:
        """Download archives until none is waiting, and put the outcome of each into `ended`."""
        while not stop.is_set():
            try:
                transfer = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                transfer.resume()
                _from_any(transfer, mirrors, patience, stop)
                ended.put(None)
            except Exception as error:  # of any kind: the calling thread raises it
                ended.put(error)

    before = sum(each.done for each in transfers)
    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(_AT_ONCE, len(archives)))]
    for thread in threads:
        thread.start()
    try:
        _wait(transfers, ended, before)
    finally:
        stop.set()
        # A thread that hangs in a read is left behind: a second is enough for the others.
        for thread in threads:
            thread.join(timeout=1.0)


def _wait(transfers: Sequence[Transfer], ended: "queue.SimpleQueue[Exception | None]", before: int) -> None:
    """Show progress until every transfer has ended. An earlier program left `before` bytes.

    An error of the disk or of the user's input is raised at once. If no mirror completes an archive, DownloadError
    is raised only after the other archives have been downloaded.
    """
    left, shown = len(transfers), before
    without_mirror: list[DownloadError] = []
    with Progress("download", sum(each.archive.bytes for each in transfers), "B", shown) as progress:
        while left:
            try:
                error = ended.get(timeout=_POLL_SECONDS)
                left -= 1
                if isinstance(error, DownloadError):
                    without_mirror.append(error)
                elif error is not None:
                    raise error
            except queue.Empty:
                pass
            done = sum(each.done for each in transfers)
            progress.advance(done - shown)
            shown = done
    if without_mirror:
        raise without_mirror[0]


def _from_any(transfer: Transfer, mirrors: Sequence[str], patience: Patience, stop: threading.Event) -> None:
    """Complete a transfer, asking the mirrors in turn. Raises DownloadError if none completes it.

    A mirror whose content is wrong is not asked again. A round of all mirrors is fruitless if none of
    them extended the furthest position at `patience.least_rate` or more, averaged over its answer and
    the first pause: one byte per connection is no progress. The pause doubles with each fruitless
    round, and after `patience.rounds` of them in a row the transfer fails.
    """
    reasons: dict[str, str] = {}  # the latest of each mirror: five rounds of five mirrors would fill a screen
    good, fruitless, furthest = list(mirrors), 0, transfer.done
    while good and fruitless < patience.rounds and not stop.is_set():
        fruitless += 1
        for mirror in list(good):
            begin = time.monotonic()
            try:
                transfer.receive(transfer.archive.url(mirror))
                return
            except WrongContentError as error:
                reasons[mirror] = str(error)
                good.remove(mirror)
            except TransferError as error:
                reasons[mirror] = str(error)
            lasted = time.monotonic() - begin + patience.first_pause
            # From the furthest position, not from this answer's: a mirror that starts over repeats what was there.
            if transfer.done - furthest >= patience.least_rate * lasted:
                fruitless = 0
            furthest = max(furthest, transfer.done)
        if good and fruitless < patience.rounds:
            stop.wait(min(patience.first_pause * 2 ** max(0, fruitless - 1), patience.longest_pause))
    causes = "; ".join(f"{_shown(transfer.archive.url(each))}: {_short(text)}" for each, text in reasons.items())
    raise DownloadError(f"{transfer.archive.file}: no mirror completed it ({causes}); run again to continue")


def _shown(url: str) -> str:
    """Return a URL without the user's name and password."""
    return re.sub(r"//[^/@]*@", "//", url)


def _short(reason: str) -> str:
    """Return a server's words as one line of at most _LONGEST_REASON characters."""
    reason = one_line(reason)
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."
