"""The folder of a run: the one place that knows the names in it."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from speech_recognition import settings
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_write, held
from speech_recognition.parameters import Params
from speech_recognition.runs.log import Output, Silence
from speech_recognition.runtime import distributed
from speech_recognition.runtime.distributed import ALONE, Launch

_LOG = re.compile(r"speech_ds2(?:_resumed_([1-9]\d{0,8}))?\.out", re.ASCII)
"""Name of a log; a file whose number has more than nine digits is not a log of a run."""


@dataclass(frozen=True)
class RunFolder:
    """The paths in a run's folder. None of them has to exist."""

    path: Path

    @property
    def params(self) -> Path:
        """Parameters, as `settings.to_dict` returns them."""
        return self.path / "params.json"

    @property
    def system(self) -> Path:
        """Description of the machine that ran."""
        return self.path / "system.json"

    @property
    def command(self) -> Path:
        """Command that started the run, or that continued it: one line, as a shell takes it."""
        return self.path / "command.txt"

    @property
    def log(self) -> Path:
        """First log of the run; a continuation has a log of its own (`logs`)."""
        return self._log(0)

    @property
    def metrics(self) -> Path:
        """Table with a row for each evaluation (`runs/metrics.py`)."""
        return self.path / "metrics.csv"

    @property
    def steps(self) -> Path:
        """Table with the epoch's sums after every tenth step (`runs/steps.py`)."""
        return self.path / "steps.csv"

    @property
    def utterances(self) -> Path:
        """Table with a row for each utterance of val in the best epoch (`runs/utterances.py`)."""
        return self.path / "utterances.csv"

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints; `runs/checkpoint.py` names them."""
        return self.path / "checkpoints"

    @property
    def pictures(self) -> Path:
        """Folder of the spectrograms before and after augmentation."""
        return self.path / "augmentation"

    @property
    def page(self) -> Path:
        """Report on the run, an HTML page."""
        return self.path / "report.html"

    @property
    def charts(self) -> Path:
        """Folder of the report's charts."""
        return self.path / "charts"

    @property
    def curves(self) -> Path:
        """Picture of loss and error rates over the epochs."""
        return self.path / "curves.png"

    def logs(self) -> list[Path]:
        """Return the first log and those of the run's continuations, in order, as far as they exist."""
        return [self._log(number) for number in self._log_numbers()]

    def next_log(self) -> Path:
        """Return the path of the log that a run writes next: the first, or one with the number after the highest."""
        return self._log(max(self._log_numbers(), default=-1) + 1)

    def torchrun_id(self) -> str | None:
        """Return the id that torchrun has for the run; None if torchrun did not start it."""
        path = self._torchrun_id
        return path.read_text(encoding="utf-8", errors="replace").strip() if path.is_file() else None

    @property
    def _torchrun_id(self) -> Path:
        return self.path / "torchrun_id"

    def _log(self, number: int) -> Path:
        return self.path / (f"speech_ds2_resumed_{number}.out" if number else "speech_ds2.out")

    def _log_numbers(self) -> list[int]:
        matches = (_LOG.fullmatch(path.name) for path in self.path.glob("speech_ds2*.out"))
        return sorted(int(match[1] or 0) for match in matches if match)


def newest_runs(preset: str, root: Path) -> list[RunFolder]:
    """Return the folders of a preset's runs in `root`, the newest first by the time of the start in their names."""
    name = re.compile(rf"{re.escape(preset)}_\d{{8}}_\d{{6}}_\d+")
    # By name, not by the folder's time, which changes when somebody writes a report into it.
    found = sorted((path for path in root.glob("*") if name.fullmatch(path.name)), reverse=True)
    # A series has a folder with such a name too; its first run lies in it (series_folder.py).
    return [RunFolder(path) for path in found if not (path / "run_0").exists()]


@contextmanager
def open_folder(
    folder: Path, params: Params, system: Mapping[str, str], launch: Launch = ALONE, command: str = ""
) -> Iterator[Output | Silence]:
    """Make the folder of a run, write its parameters, its system's description and its command, and yield its log.

    Only the first process writes; the other processes get a `Silence`. A continuation of a run begins a log of its
    own, speech_ds2_resumed_1.out and so on, but a run whose processes torchrun has restarted goes on in the newest
    log. Files that a killed run left unfinished are removed. Raises InputError if a different run is writing to the
    folder, or if an entry of it leads out of it.
    """
    if not distributed.is_first():
        yield Silence()
        return
    folder.mkdir(parents=True, exist_ok=True)
    with held(
        folder, f"--output-dir {folder}: another run is writing there; wait for it, or choose a different folder"
    ):
        # Before the removal of partial files, which must not reach files outside the folder.
        _check_entries(folder)
        for remains in folder.rglob(".*.partial"):
            remains.unlink(missing_ok=True)
        output = _fill(RunFolder(folder), params, system, launch, command)
        try:
            yield output
        finally:
            output.close()
            print(f"results: {folder}", file=sys.stderr)


def _check_entries(folder: Path) -> None:
    """Raise InputError on a link that leads out of a run's folder, and on an entry that is neither file nor folder.

    Somebody else may have made the folder: the run would overwrite or delete what such a link points to.
    """
    inside = os.path.realpath(folder)
    for path in folder.rglob("*"):
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(inside) or not (target.is_file() or target.is_dir()):
            raise InputError(
                f"{path}: leads out of the run's folder, or is no file; remove it, or choose a different --output-dir"
            )


def _fill(folder: RunFolder, params: Params, system: Mapping[str, str], launch: Launch, command: str) -> Output:
    """Write the files that a run begins with, and return its open log."""
    # Anew when a run goes on: its dataset may have moved, and it may be on a different machine.
    contents = {
        folder.params: json.dumps(settings.to_dict(params), indent=2),
        folder.system: json.dumps(system, indent=2),
        folder.command: command,
        folder._torchrun_id: launch.run_id,
    }
    for path, content in contents.items():
        if content:
            with atomic_write(path) as partial:
                partial.write_text(content + "\n", encoding="utf-8")
    logs = folder.logs()
    # Restarted processes belong to the same run on the same clock; a run that a user resumes is a different one.
    if launch.restarted and logs:
        return Output(sys.stdout, logs[-1], go_on=True)
    return Output(sys.stdout, folder.next_log())
