"""A test of MLPerf's rule that no data is touched before run_start; inotify reports each file that is opened."""

import ctypes
import json
import os
import select
import struct
import subprocess
import sys
import time
from pathlib import Path

from speech_recognition.commands import ROOT

_IN_OPEN, _IN_ISDIR = 0x20, 0x40000000
_EVENT = struct.Struct("iIII")
_TINY = ["model.conv_channels=2", "model.rnn_units=8", "training.epochs=1", "training.target_wer=0"]


class Watch:
    """Watch on a folder: each file below it that a process opens, with the time at which the event was read."""

    def __init__(self, folder: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._file = libc.inotify_init1(os.O_NONBLOCK)
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        self._folders = {libc.inotify_add_watch(self._file, bytes(each), _IN_OPEN): each for each in folders}
        assert self._file >= 0 and min(self._folders) >= 0, os.strerror(ctypes.get_errno())
        self.opened: list[tuple[float, Path]] = []

    def listen(self, process: subprocess.Popen[bytes]) -> None:
        """Collect events until the process has ended."""
        while process.poll() is None:
            if select.select([self._file], [], [], 0.05)[0]:
                self._read()
        os.close(self._file)

    def _read(self) -> None:
        heard, content, place = time.time(), os.read(self._file, 1 << 20), 0
        while place < len(content):
            watch, mask, _, length = _EVENT.unpack_from(content, place)
            name = content[place + _EVENT.size : place + _EVENT.size + length].rstrip(b"\0").decode()
            place += _EVENT.size + length
            if not mask & _IN_ISDIR:
                self.opened.append((heard, self._folders[watch] / name))


def times(log: Path) -> dict[str, float]:
    """Return the time of each key's first line in a log, in seconds since 1970."""
    events = [json.loads(line.partition(" ")[2]) for line in log.read_text().splitlines() if line.startswith(":::MLL")]
    return {event["key"]: event["time_ms"] / 1000 for event in reversed(events)}


def test_nothing_but_the_counts_is_opened_before_the_clock_runs(tone_dataset: Path, tmp_path: Path) -> None:
    watch = Watch(tone_dataset)
    options = ["--preset", "mini", "--data-dir", tone_dataset, "--output-dir", tmp_path / "run"]
    options += [word for assignment in _TINY for word in ("--set", assignment)]
    command = [sys.executable, "-m", "speech_recognition", "train", "--timed", *map(str, options)]
    with (tmp_path / "out").open("wb") as output:
        process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=output, stderr=output)
        watch.listen(process)
    assert process.returncode == 3
    when = times(tmp_path / "run" / "speech_ds2.out")
    assert when["run_start"] - when["init_start"] > 0.1
    # Events are read after they happen, so a file whose event was read before run_start was opened before it.
    before = {path for heard, path in watch.opened if heard < when["run_start"]}
    assert before == {tone_dataset / "manifests" / "counts.json"}
    after = {path.relative_to(tone_dataset).parts[0] for heard, path in watch.opened if heard >= when["run_start"]}
    assert after == {"manifests", "train", "val"}
    assert len({path for _, path in watch.opened if path.suffix == ".wav"}) == 30
