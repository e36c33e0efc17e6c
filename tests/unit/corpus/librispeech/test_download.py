"""Tests of downloads from a server on this machine that misbehaves on purpose."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from speech_recognition.corpus.librispeech import download
from speech_recognition.corpus.librispeech.catalog import Archive
from speech_recognition.corpus.librispeech.connections import Patience
from speech_recognition.corpus.librispeech.download import fetch_archives
from speech_recognition.corpus.librispeech.transfer import Transfer
from speech_recognition.errors import DownloadError
from speech_recognition.runtime.progress import Progress

CONTENT = {f"{name}.tar.gz": np.random.default_rng(seed).bytes(300_000) for seed, name in enumerate(["dev-a", "dev-b"])}
HASTE = Patience(connect=1, read=1, window=0.3, least_rate=50_000, first_pause=0.01, longest_pause=0.05, rounds=3)


def archive(name: str = "dev-a", **changes: Any) -> Archive:
    content = CONTENT[f"{name}.tar.gz"]
    fields = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest(), "older_bytes": 400_000} | changes
    return Archive(subset=name, md5="", hours=0.1, utterances=1, speakers=1, **fields)


class Handler(BaseHTTPRequestHandler):
    """Handler that answers each request by the next fault in `server.plan`, and correctly when the plan is empty."""

    server: "Server"
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        name, range_ = self.path.rpartition("/")[2], self.headers.get("Range")
        self.server.requests.append((self.path, range_))
        fault = self.server.plan.pop(0) if self.server.plan else send
        begin = int(range_.removeprefix("bytes=").removesuffix("-")) if range_ else 0
        self.close_connection = True
        fault(self, CONTENT[name], begin)


class Server(ThreadingHTTPServer):
    """Server with the plan of its faults, and a list of the requests that it got."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plan: list[Fault] = []
        self.requests: list[tuple[str, str | None]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/12"


Fault = Callable[[Handler, bytes, int], None]


def begin_answer(handler: Handler, content: bytes, begin: int, length: int | None = None) -> None:
    handler.send_response(206 if begin else 200)
    if begin:
        handler.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - begin if length is None else length))
    handler.end_headers()


def send(handler: Handler, content: bytes, begin: int) -> None:
    begin_answer(handler, content, begin)
    handler.wfile.write(content[begin:])


def cut(handler: Handler, content: bytes, begin: int) -> None:
    begin_answer(handler, content, begin)
    handler.wfile.write(content[begin : begin + 120_000])


def refuse(status: int) -> Fault:
    def fault(handler: Handler, content: bytes, begin: int) -> None:
        handler.send_error(status)

    return fault


def close(handler: Handler, content: bytes, begin: int) -> None:
    pass


def wrong_length(handler: Handler, content: bytes, begin: int) -> None:
    begin_answer(handler, content, begin, length=len(content) - begin - 7)
    handler.wfile.write(content[begin:-7])


def no_length(handler: Handler, content: bytes, begin: int) -> None:
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(content + b"and more")


def ignore_range(handler: Handler, content: bytes, begin: int) -> None:
    send(handler, content, 0)


def other_range(handler: Handler, content: bytes, begin: int) -> None:
    handler.send_response(206)
    handler.send_header("Content-Range", f"bytes {begin + 5}-{len(content) - 1}/{len(content)}")
    handler.send_header("Content-Length", str(len(content) - begin))
    handler.end_headers()
    handler.wfile.write(content[begin + 5 :] + b"12345")


def flip(handler: Handler, content: bytes, begin: int) -> None:
    send(handler, content[:200_000] + bytes([content[200_000] ^ 1]) + content[200_001:], begin)


def trickle(handler: Handler, content: bytes, begin: int) -> None:
    begin_answer(handler, content, begin)
    for position in range(begin, len(content), 100):
        handler.wfile.write(content[position : position + 100])
        time.sleep(0.02)


def hang(handler: Handler, content: bytes, begin: int) -> None:
    begin_answer(handler, content, begin)
    handler.wfile.write(content[begin : begin + 1000])
    time.sleep(3)


def redirect(target: str, status: int = 302) -> Fault:
    def fault(handler: Handler, content: bytes, begin: int) -> None:
        handler.send_response(status)
        handler.send_header("Location", target)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return fault


@pytest.fixture
def servers() -> Iterator[Callable[[], Server]]:
    started: list[Server] = []

    def start() -> Server:
        server = Server()
        started.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return server

    yield start
    for server in started:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(servers: Callable[[], Server]) -> Server:
    return servers()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != ".lock"}


def test_several_archives_arrive_whole(server: Server, tmp_path: Path) -> None:
    paths = fetch_archives([archive("dev-a"), archive("dev-b")], tmp_path / "new", [server.url], HASTE)
    assert files(tmp_path / "new") == CONTENT
    assert [path.name for path in paths] == ["dev-a.tar.gz", "dev-b.tar.gz"]


@pytest.mark.parametrize(
    "plan",
    [
        [cut, cut],
        [refuse(503), refuse(503)],
        [close, send],
        [wrong_length],
        [cut, ignore_range],
        [cut, other_range],
        [cut, refuse(416)],
        [hang],
        [trickle],
        [refuse(404), refuse(403)],
    ],
    ids=lambda plan: "-".join(fault.__name__ for fault in plan),
)
def test_a_server_that_recovers_gives_the_archive(server: Server, tmp_path: Path, plan: list[Fault]) -> None:
    server.plan = list(plan)
    fetch_archives([archive()], tmp_path, [server.url], HASTE)
    assert files(tmp_path) == {"dev-a.tar.gz": CONTENT["dev-a.tar.gz"]}


def test_a_cut_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.plan = [cut, cut]
    fetch_archives([archive()], tmp_path, [server.url], HASTE)
    assert [range_ for _, range_ in server.requests] == [None, "bytes=120000-", "bytes=240000-"]


def test_the_progress_begins_at_what_an_earlier_program_left(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, added = [], []

    class Recorded(Progress):
        def __init__(self, title: str, total: int, unit: str, done: int = 0) -> None:
            super().__init__(title, total, unit, done)
            begun.append((title, done))

        def advance(self, count: int, note: str = "") -> None:
            added.append(count)

    def resume_late(transfer: Transfer) -> None:
        time.sleep(0.3)  # as hashing 31 GB does
        resume(transfer)

    resume = Transfer.resume
    monkeypatch.setattr(Transfer, "resume", resume_late)
    monkeypatch.setattr(download, "Progress", Recorded)
    (tmp_path / "dev-a.tar.gz.partial").write_bytes(CONTENT["dev-a.tar.gz"][:200_000])
    fetch_archives([archive()], tmp_path, [server.url], HASTE)
    assert begun[-1] == ("download", 200_000) and sum(added) == 100_000


@pytest.mark.parametrize("fault", [refuse(404), refuse(403), close, wrong_length, flip, no_length, trickle])
def test_the_next_mirror_helps(servers: Callable[[], Server], tmp_path: Path, fault: Fault) -> None:
    bad, good = servers(), servers()
    bad.plan = [fault] * 50
    fetch_archives([archive()], tmp_path, [bad.url, good.url], HASTE)
    assert files(tmp_path) == {"dev-a.tar.gz": CONTENT["dev-a.tar.gz"]}
    assert len(bad.requests) == 1


def test_a_mirror_that_goes_on_from_another_ones_cut(servers: Callable[[], Server], tmp_path: Path) -> None:
    first, second = servers(), servers()
    first.plan = [cut] * 50
    fetch_archives([archive()], tmp_path, [first.url, second.url], HASTE)
    assert second.requests == [("/12/dev-a.tar.gz", "bytes=120000-")]


def test_redirects_are_followed_with_the_range(servers: Callable[[], Server], tmp_path: Path) -> None:
    first, second = servers(), servers()
    target = f"{second.url}/elsewhere/dev-a.tar.gz"
    first.plan = [cut, redirect(target), redirect(target, 307)]
    second.plan = [cut]
    fetch_archives([archive()], tmp_path, [first.url], HASTE)
    assert [range_ for _, range_ in second.requests] == ["bytes=120000-", "bytes=240000-"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (refuse(404), "HTTP 404 Not Found"),
        (redirect("/12/dev-a.tar.gz"), "more than 5 redirects"),
        (flip, "wrong SHA-256"),
        (no_length, "more bytes than the archive has"),
        (wrong_length, "it offers 299993 bytes, must be 300000"),
        (close, "Remote end closed connection"),
    ],
)
def test_without_a_mirror_the_error_says_why_and_nothing_looks_finished(
    server: Server, tmp_path: Path, fault: Fault, reason: str
) -> None:
    server.plan = [fault] * 200
    with pytest.raises(DownloadError, match=reason) as caught:
        fetch_archives([archive()], tmp_path, [server.url], HASTE)
    assert "dev-a.tar.gz" in str(caught.value) and "run again" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == {}


def test_nobody_listening_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"http://127\.0\.0\.1:9/12/dev-a\.tar\.gz: ") as caught:
        fetch_archives([archive()], tmp_path, ["http://me:secret@127.0.0.1:9/{resource}"], HASTE)
    assert "secret" not in str(caught.value)


def test_one_archive_without_a_mirror_does_not_stop_the_others(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"dev-a\.tar\.gz"):
        fetch_archives([archive("dev-a", sha256="0" * 64), archive("dev-b")], tmp_path, [server.url], HASTE)
    assert files(tmp_path) == {"dev-b.tar.gz": CONTENT["dev-b.tar.gz"]}


def test_a_damaged_partial_file_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "dev-a.tar.gz.partial").write_bytes(bytes(1000))
    fetch_archives([archive()], tmp_path, [server.url], HASTE)
    assert files(tmp_path) == {"dev-a.tar.gz": CONTENT["dev-a.tar.gz"]}
