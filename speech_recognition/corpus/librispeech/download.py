"""Archives from the mirrors into a folder, each complete and verified.

An archive that is there already (fetched by hand, or by an earlier program) is not
fetched again: its size and SHA-256 are checked where it lies.
"""

import fcntl
import hashlib
import os
import queue
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
"""Archives that are fetched at the same time."""

_POLL_SECONDS = 0.2

_LONGEST_REASON = 200
"""Characters of what one mirror said, in the message."""


def fetch_archives(
    archives: Sequence[Archive], folder: Path, mirrors: Sequence[str], patience: Patience | None = None
) -> list[Path]:
    """Have every archive complete in `folder`, with the bytes and the SHA-256 of the catalog; returns their paths.

    Raises InputError if the folder cannot be written, is in use by a different download, or holds an archive
    with other contents; DiskFullError if its disk has too little space; DownloadError if no mirror delivers one.
    """
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
    """What is still to be fetched."""
    sizes = {each.file: each.bytes for each in archives}
    there = sum(_size(folder / name) or _size(folder / f"{name}.partial") for name in sizes)
    return max(0, sum(sizes.values()) - there)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def check_present(archives: Sequence[Archive], folder: Path) -> None:
    """Raise InputError for an archive in `folder` that is no file, or not one of the catalog's by its size."""
    for archive in archives:
        path = folder / archive.file
        check_regular(path)
        size = _size(path)
        if path.exists() and size == archive.older_bytes:
            raise InputError(f"{path}: the older release of LibriSpeech, which differs; remove it and fetch it again")
        if path.exists() and size != archive.bytes:
            raise InputError(f"{path}: {size} bytes, must be {archive.bytes}; remove it and fetch it again")


def _verify(archives: Sequence[Archive], folder: Path) -> None:
    """Check the SHA-256 of archives that are there."""

    def digest(archive: Archive) -> str:
        with (folder / archive.file).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    with (
        Progress("verify archives", len(archives), "archives") as progress,
        in_threads(digest, archives, None) as found,
    ):
        for archive, sha256 in zip(archives, found, strict=True):
            if sha256 != archive.sha256:
                raise InputError(f"{folder / archive.file}: damaged (wrong SHA-256); remove it and fetch it again")
            progress.advance(1, archive.subset)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep a second program from downloading into the same folder; the system drops the lock of one that is killed."""
    with open(open_own(folder / ".lock", os.O_RDWR | os.O_CREAT), "rb+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"--archives {folder}: another download is running there; wait for it") from None
        yield


def _fetch(archives: Sequence[Archive], folder: Path, mirrors: Sequence[str], patience: Patience) -> None:
    """Fetch several at once, in threads that end with the program, whatever a server does."""
    stop, waiting, ended = threading.Event(), queue.SimpleQueue[Transfer](), queue.SimpleQueue[Exception | None]()
    transfers = [Transfer(archive, folder, patience, stop) for archive in archives]
    for transfer in transfers:
        waiting.put(transfer)

    def work() -> None:
        while not stop.is_set():
            try:
                transfer = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                transfer.resume()
                _from_any(transfer, mirrors, patience, stop)
                ended.put(None)
            except Exception as error:
                ended.put(error)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(_AT_ONCE, len(archives)))]
    for thread in threads:
        thread.start()
    try:
        _wait(transfers, ended)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=1.0)


def _wait(transfers: Sequence[Transfer], ended: "queue.SimpleQueue[Exception | None]") -> None:
    """Show the progress until every transfer has ended. Raises what stopped one; an archive without a mirror waits."""
    left, shown = len(transfers), 0
    without_mirror: list[DownloadError] = []
    with Progress("download", sum(each.archive.bytes for each in transfers), "B") as progress:
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
    """Complete a transfer from the mirrors in turn.

    A mirror with other contents is asked no more. Rounds are counted in which no mirror came
    further than any before at the least rate, the pause after it included: a byte for each
    connection is no progress. The pause doubles with each of them. Raises DownloadError when
    there is none left.
    """
    reasons: dict[str, str] = {}
    good, fruitless, furthest = list(mirrors), 0, transfer.done
    while good and fruitless < patience.rounds and not stop.is_set():
        fruitless += 1
        for mirror in list(good):
            begin = time.monotonic()
            try:
                transfer.receive(f"{mirror.rstrip('/')}/{transfer.archive.file}")
                return
            except WrongContentError as error:
                reasons[mirror] = str(error)
                good.remove(mirror)
            except TransferError as error:
                reasons[mirror] = str(error)
            lasted = time.monotonic() - begin + patience.first_pause
            if transfer.done - furthest >= patience.least_rate * lasted:
                fruitless = 0
            furthest = max(furthest, transfer.done)
        if good and fruitless < patience.rounds:
            stop.wait(min(patience.first_pause * 2 ** max(0, fruitless - 1), patience.longest_pause))
    causes = "; ".join(f"{mirror}: {_short(reason)}" for mirror, reason in reasons.items())
    raise DownloadError(f"{transfer.archive.file}: no mirror gave it ({causes}); run again to go on from here")


def _short(reason: str) -> str:
    """Return a server's words as a part of one line."""
    reason = one_line(reason)
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."
