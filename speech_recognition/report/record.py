"""A run as its folder tells it: parameters, system, epochs, steps, utterances, log."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from speech_recognition import settings
from speech_recognition.errors import InputError, one_line
from speech_recognition.mlperf import system
from speech_recognition.mlperf.check import check_log
from speech_recognition.mlperf.log_table import has_lines, log_table
from speech_recognition.report.tables import read_epochs, read_utterances
from speech_recognition.runs.folder import LOG_NAME, UTTERANCES_NAME
from speech_recognition.runs.steps import read_steps


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run. Tables that a run was stopped too early to write are empty."""

    name: str
    parameters: dict[str, Any]
    """by section.name"""
    system: dict[str, str]
    epochs: pd.DataFrame
    """metrics.csv"""
    steps: pd.DataFrame
    """steps.csv"""
    utterances: pd.DataFrame
    """utterances.csv"""
    logs: list[pd.DataFrame]
    """the lines of its log, and of the further logs of a run that was stopped and went on; none without lines"""
    violations: list[str]
    """what the checker finds in the first log"""

    def logged(self, key: str) -> Any:
        """The value of the first line with `key` in any log; None if there is none."""
        found = [value for log in self.logs for value in log.loc[log["key"] == key, "value"]]
        return found[0] if found else None

    @property
    def seed(self) -> int | None:
        """As logged; None if the run was killed before it said so."""
        return self._count("seed")

    @property
    def train_samples(self) -> int | None:
        """Utterances in an epoch; None if the run was killed before it said so."""
        return self._count("train_samples")

    def _count(self, key: str) -> int | None:
        value = self.logged(key)
        return value if type(value) is int and 0 <= value < 2**32 else None

    @property
    def ended(self) -> bool:
        """Whether its last log says how it ended: not, while it runs or after a SIGKILL."""
        return any("run_stop" in log["key"].to_numpy() for log in self.logs[-1:])

    @property
    def reached_target(self) -> bool:
        """Whether its last line says so."""
        stops = [log.loc[log["key"] == "run_stop"] for log in self.logs]
        return any(each["status"].iloc[-1] == "success" for each in stops[-1:] if len(each) and "status" in each)

    @property
    def best(self) -> pd.Series | None:
        """The row of the epoch with the lowest WER; None before the first evaluation."""
        return None if self.epochs.empty else self.epochs.iloc[int(self.epochs["wer"].argmin())]

    @property
    def target_wer(self) -> float:
        """Percent."""
        return float(self.parameters["training.target_wer"])


def find_runs(paths: list[Path]) -> list[Path]:
    """The folders of runs that `paths` are, or hold: those of a `--runs`. Raises InputError on one without."""
    found: list[Path] = []
    for path in paths:
        here = [path] if (path / LOG_NAME).is_file() else [log.parent for log in path.glob(f"run_*/{LOG_NAME}")]
        if not here:
            raise InputError(f"{path}: no {LOG_NAME} in it; give the folder of a run, or of several (--runs)")
        found += sorted(here, key=lambda folder: (len(folder.name), folder.name))
    return list(dict.fromkeys(found))


def read_records(folders: Sequence[Path]) -> list[Record]:
    """The runs in `folders`; those of one name with the names of their parents too. Raises InputError as below."""
    records = [read_record(folder) for folder in folders]
    names = [record.name for record in records]
    for place, folder in enumerate(folders):
        if names.count(names[place]) > 1:
            records[place] = replace(records[place], name=f"{one_line(folder.resolve().parent.name)}/{names[place]}")
    return records


def read_record(folder: Path) -> Record:
    """The run in `folder`. Raises InputError, naming the file, if something in it cannot be read."""
    params = settings.read(folder / settings.PARAMS_NAME)
    log, *further = sorted(folder.glob("speech_ds2*.out"), key=lambda path: (len(path.name), path.name))
    described = folder / system.SYSTEM_NAME
    return Record(
        name=one_line(folder.resolve().name),
        parameters=_flat(settings.to_dict(params)),
        system=system.read_description(described) if described.exists() else {},
        epochs=read_epochs(folder / "metrics.csv"),
        steps=pd.DataFrame(read_steps(folder)),
        utterances=read_utterances(folder / UTTERANCES_NAME),
        logs=[log_table(path) for path in (log, *further) if has_lines(path)],
        violations=[str(violation) for violation in check_log(log, params.submission.division)],
    )


def _flat(parameters: dict[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for section, value in parameters.items():
        flat |= {f"{section}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {}
        flat |= {} if isinstance(value, dict) else {section: value}
    return flat
