"""Tests from archives on a server to a verified dataset, with a small catalog in place of LibriSpeech's."""

import functools
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from speech_recognition import cli
from speech_recognition.commands import ROOT, dataset
from speech_recognition.corpus.checksum import write_reference
from speech_recognition.corpus.counts import read_counts
from speech_recognition.corpus.librispeech.connections import Patience
from speech_recognition.corpus.tar_stream import scan


class Quiet(SimpleHTTPRequestHandler):
    """Server of files that keeps no log."""

    def log_message(self, *_: object) -> None:
        pass


class World:
    """Site with archives, their catalog, and a user's folders."""

    def __init__(self, source: Path, tmp_path: Path, url: str) -> None:
        self.source, self.url = source, url
        self.site, self.data_dir, self.archives = tmp_path / "site", tmp_path / "data", tmp_path / "archives"
        self.catalog = tmp_path / "reference_checksums" / "librispeech.json"
        self.catalog.parent.mkdir()
        self.publish()

    def publish(self, **changes: int | None) -> None:
        """Pack every subset and write the catalog, with `changes` to the first archive's entry."""
        entries = []
        for subset in sorted(path for path in self.source.iterdir() if path.is_dir()):
            path = self.site / f"{subset.name}.tar.gz"
            with tarfile.open(path, "w:gz") as tar:
                tar.add(subset, f"LibriSpeech/{subset.name}")
            content = path.read_bytes()
            entry = {"subset": subset.name, "bytes": len(content), "md5": "", "hours": 0.001, "older_bytes": 1}
            entry |= {"sha256": hashlib.sha256(content).hexdigest()}
            entry |= {"utterances": len(list(subset.rglob("*.flac"))), "speakers": len(list(subset.iterdir()))}
            entries.append(entry)
        entries[0] |= changes
        options = {"all": [each["subset"] for each in entries], "clean": [entries[0]["subset"]]}
        self.catalog.write_text(json.dumps({"archives": entries, "options": options, "mirrors": [self.url]}))

    def arguments(self, command: str, option: str = "all") -> list[str]:
        arguments = [command, option, "--data-dir", str(self.data_dir)]
        return [*arguments, "--archives", str(self.archives)] if command == "download" else arguments


@pytest.fixture
def world(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (tmp_path / "site").mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(tmp_path / "site")))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    monkeypatch.setattr(dataset, "REFERENCES", tmp_path / "reference_checksums")
    yield World(source, tmp_path, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    server.server_close()


def test_download_then_verify(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(world.arguments("download")) == 0
    counts = read_counts(world.data_dir)
    assert (counts.dataset, counts.train.utterances, counts.val.utterances) == ("all", 2, 2)
    capsys.readouterr()
    assert cli.main(world.arguments("verify")) == 0
    captured = capsys.readouterr()
    assert captured.out == "Dataset Checksum Passed.\n"
    assert "recorded at preparation, from archives that matched their SHA-256" in captured.err


def test_a_pinned_checksum_is_preferred_and_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(world.arguments("download"))
    write_reference(world.data_dir, world.catalog.parent, "all")
    shutil.rmtree(world.data_dir / "checksums")
    assert cli.main(world.arguments("verify")) == 0
    assert "pinned in reference_checksums" in capsys.readouterr().err


def test_verify_cannot_make_what_it_finds_the_reference(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*world.arguments("verify"), "--write-reference"]) == 2
    assert "unrecognized arguments: --write-reference" in capsys.readouterr().err


def test_a_spoilt_dataset_fails_with_its_files(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(world.arguments("download"))
    capsys.readouterr()
    (world.data_dir / "train/txt/19-198-0000.txt").write_text("ANOTHER ABBEY\n")
    assert cli.main(world.arguments("verify")) == 1
    assert capsys.readouterr().out.splitlines() == [
        "WARNING: Dataset Checksum Failed.",
        "differs: train/txt/19-198-0000.txt",
    ]


@pytest.fixture
def small(world: World) -> World:
    """Return a site with the option small alone: two archives in the folder 31, of which one's speakers are unknown."""
    shutil.rmtree(world.source / "test-other")
    (world.source / "dev-clean").rename(world.source / "dev-clean-2")
    world.publish(speakers=None)
    catalog = json.loads(world.catalog.read_text())
    (world.site / "resources" / "31").mkdir(parents=True)
    for entry in catalog["archives"]:
        entry["resource"] = 31
        del entry["older_bytes"]
        archive = f"{entry['subset']}.tar.gz"
        (world.site / archive).rename(world.site / "resources" / "31" / archive)
    catalog["options"] = {"small": catalog["options"]["all"]}
    world.catalog.write_text(json.dumps(catalog | {"mirrors": [f"{world.url}/resources/{{resource}}"]}))
    return world


def test_small_comes_from_its_own_folder_and_has_no_test_set(small: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(small.arguments("download", "small")) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "test: 0 utterances, 0.0 minutes"
    assert read_counts(small.data_dir).dataset == "small"
    assert sorted(path.name for path in small.data_dir.glob("manifests/*.csv")) == ["train.csv", "val.csv"]
    assert cli.main(small.arguments("verify", "small")) == 0
    assert capsys.readouterr().out == "Dataset Checksum Passed.\n"
    shutil.rmtree(small.site)
    assert cli.main(small.arguments("download", "small")) == 0, "it is complete, without a test set"


def test_small_does_not_replace_a_different_dataset(small: World, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(small.arguments("download", "small"))
    before = scan(small.data_dir)
    catalog = json.loads(small.catalog.read_text())
    small.catalog.write_text(json.dumps(catalog | {"options": {"all": catalog["options"]["small"]}}))
    assert cli.main(small.arguments("download", "all")) == 2
    assert f"holds the dataset 'small', not 'all'; use {small.data_dir}_all" in capsys.readouterr().err
    assert scan(small.data_dir) == before


def test_small_can_come_from_a_mirror_of_ones_own(small: World) -> None:
    (small.site / "resources" / "31").rename(small.site / "mine")
    assert cli.main([*small.arguments("download", "small"), "--mirror", f"{small.url}/mine"]) == 0


def test_a_finished_download_needs_neither_archives_nor_the_site(world: World) -> None:
    cli.main(world.arguments("download"))
    before = world.data_dir.stat().st_mtime_ns
    shutil.rmtree(world.archives)
    shutil.rmtree(world.site)
    assert cli.main(world.arguments("download")) == 0
    assert world.data_dir.stat().st_mtime_ns == before


def test_archives_fetched_by_hand_need_no_site(world: World) -> None:
    shutil.copytree(world.site, world.archives)
    arguments = [*world.arguments("download"), "--mirror", "http://127.0.0.1:9"]
    assert cli.main(arguments) == 0
    assert not (world.archives / ".lock").exists()


def test_another_option_is_refused_with_the_folder_to_use(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(world.arguments("download"))
    before = scan(world.data_dir)
    capsys.readouterr()
    assert cli.main(world.arguments("download", "clean")) == 2
    assert f"holds the dataset 'all', not 'clean'; use {world.data_dir}_clean" in capsys.readouterr().err
    assert cli.main(world.arguments("verify", "clean")) == 2
    assert "holds the dataset 'all', not 'clean'" in capsys.readouterr().err
    assert scan(world.data_dir) == before


def test_a_site_without_the_archives_is_a_failure_in_one_line(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "speech_recognition.corpus.librispeech.download.Patience", functools.partial(Patience, rounds=1)
    )
    for path in world.site.iterdir():
        path.write_text("maintenance")
    assert cli.main(world.arguments("download")) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: ") and "it offers 11 bytes" in lines[0]
    assert not world.data_dir.exists()


@pytest.mark.parametrize("changes", [{"utterances": 3}, {"speakers": 2}, {"utterances": 3, "speakers": None}])
def test_counts_other_than_the_catalogs_are_refused(
    world: World, changes: dict[str, int | None], capsys: pytest.CaptureFixture[str]
) -> None:
    world.publish(**changes)
    assert cli.main(world.arguments("download")) == 2
    assert "2 utterances of 1 speakers, the catalog says" in capsys.readouterr().err
    assert not world.data_dir.exists()


def test_an_archive_without_its_end_is_refused(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Check that a cut archive is refused even if the catalog has its checksum and no utterance is missing."""
    path = world.site / "train-clean-5.tar.gz"
    tar = gzip.decompress(path.read_bytes()).rstrip(b"\0")
    path.write_bytes(gzip.compress(tar + bytes(-len(tar) % 512)))
    catalog = json.loads(world.catalog.read_text())
    content = path.read_bytes()
    catalog["archives"][2] |= {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    world.catalog.write_text(json.dumps(catalog))
    assert cli.main(world.arguments("download")) == 2
    assert "train-clean-5.tar.gz: truncated, without the zeros" in capsys.readouterr().err
    assert not world.data_dir.exists()


KILLABLE = """
import sys
from pathlib import Path
from speech_recognition import cli
from speech_recognition.commands import dataset
dataset.REFERENCES = Path(sys.argv.pop(1))
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_twenty_kills_change_nothing(world: World, tmp_path: Path) -> None:
    assert cli.main(world.arguments("download")) == 0
    expected = scan(world.data_dir)
    shutil.rmtree(world.data_dir)
    shutil.rmtree(world.archives)
    command = [sys.executable, "-c", KILLABLE, world.catalog.parent, *world.arguments("download")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    begin = time.monotonic()
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    whole = time.monotonic() - begin
    draw, killed = random.Random(1), 0
    for _ in range(60):
        shutil.rmtree(world.data_dir, ignore_errors=True)
        if draw.random() < 0.5:
            shutil.rmtree(world.archives, ignore_errors=True)
        begin = time.monotonic()
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as program:
            try:
                program.wait(timeout=draw.uniform(0.3, 1.0) * whole)
                whole = time.monotonic() - begin  # the machine is less busy than before
            except subprocess.TimeoutExpired:
                program.send_signal(signal.SIGKILL)
                killed += 1
        assert not world.data_dir.exists() or scan(world.data_dir) == expected
        if killed == 20:
            break
    assert killed == 20
    assert subprocess.run(command, env=environment, check=False).returncode == 0
    assert scan(world.data_dir) == expected
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []
