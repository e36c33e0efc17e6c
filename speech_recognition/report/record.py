"""A run read from its folder: parameters, system, epochs, steps, utterances, logs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from speech_recognition import settings
from speech_recognition.errors import InputError, one_line
from speech_recognition.mlperf.check import check_log
from speech_recognition.mlperf.log_table import has_lines, log_table
from speech_recognition.mlperf.system import read_description
from speech_recognition.runs.folder import RunFolder
from speech_recognition.runs.metrics import read_metrics
from speech_recognition.runs.series_folder import SeriesFolder
from speech_recognition.runs.steps import read_steps
from speech_recognition.runs.utterances import read_utterances


@dataclass(frozen=True, kw_only=True)
class Record:
    """Run as its folder records it; a table is empty if the run ended before it was written."""

    name: str
    folder: Path
    parameters: dict[str, Any]
    """Values of params.json by `section.name`."""
    changed: dict[str, Any]
    """The preset's own value of each parameter that differs from it."""
    system: dict[str, str]
    """Description of the machine (system.json); empty if there is none."""
    epochs: pd.DataFrame
    """Rows of metrics.csv."""
    steps: pd.DataFrame
    """Rows of steps.csv."""
    utterances: pd.DataFrame
    """Rows of utterances.csv."""
    logs: list[pd.DataFrame]
    """Tables of the run's first log and of the logs of its continuations, in order; logs without lines are left out."""
    violations: list[str]
    """Broken rules that the official checker finds in the first log."""

    def logged(self, key: str) -> Any:
        """Return the value of the first line with `key` in any log, or None if there is none."""
        found = [value for log in self.logs for value in log.loc[log["key"] == key, "value"]]
        return found[0] if found else None

    @property
    def seed(self) -> int | None:
        """Seed of the run; None if the run was killed before it logged one."""
        return self._count("seed")

    @property
    def train_samples(self) -> int | None:
        """Number of utterances in an epoch; None if the run was killed before it logged one."""
        return self._count("train_samples")

    @property
    def processes(self) -> int | None:
        """Number of processes that trained; None if the run was killed before it logged the sizes of its batches."""
        whole, part, parts = map(self._count, ("global_batch_size", "micro_batch_size", "gradient_accumulation_steps"))
        return whole // (part * parts) if whole and part and parts else None

    def _count(self, key: str) -> int | None:
        value = self.logged(key)
        return value if type(value) is int and 0 <= value < 2**32 else None

    @property
    def dataset(self) -> str:
        """Name and SHA-256 of the dataset that was verified before the run; else its folder, and why none was."""
        for log in self.logs:
            for row in log.loc[log["key"] == "dataset_checksum"].to_dict("records"):
                name, sha256 = row.get("dataset"), row["value"]
                if type(name) is str and type(sha256) is str and re.fullmatch("[0-9a-f]{64}", sha256):
                    return f"{one_line(name)}, SHA-256 {sha256}"
        folder = one_line(str(self.parameters["data.dataset"]))
        if self.parameters["submission.division"] == "open":
            return f"{folder}; the run did not verify it, as the open division allows"
        return f"{folder}; the log has no checksum of it"

    @property
    def ended(self) -> bool:
        """True if the last log has a `run_stop`; False while the run goes on, and after a SIGKILL."""
        return any("run_stop" in log["key"].to_numpy() for log in self.logs[-1:])

    @property
    def reached_target(self) -> bool:
        """True if the last log's `run_stop` has the status `success`."""
        stops = [log.loc[log["key"] == "run_stop"] for log in self.logs]
        return any(each["status"].iloc[-1] == "success" for each in stops[-1:] if len(each) and "status" in each)

    @property
    def best(self) -> pd.Series | None:
        """Row of the epoch that `runs.metrics.best_of` takes; None before the first evaluation."""
        if self.epochs.empty:
            return None
        trained = self.epochs[self.epochs["epoch"] > 0]
        rows = self.epochs if trained.empty else trained
        return rows.iloc[len(rows) - 1 - int(rows["wer"].to_numpy()[::-1].argmin())]

    @property
    def untrained(self) -> bool:
        """True if no epoch was trained, or if no WER is below 100, that of a model that writes nothing."""
        return self.best is None or self.best["epoch"] == 0 or self.best["wer"] >= 100

    @property
    def last_epoch(self) -> int | None:
        """Last epoch that was evaluated, which is the number of epochs trained; None before the first evaluation."""
        return None if self.epochs.empty else int(self.epochs["epoch"].max())

    @property
    def audio_rate(self) -> float | None:
        """Seconds of audio trained on per second of training, over all epochs; None if the table does not say."""
        trained = self.epochs.reindex(columns=["audio_rate", "seconds"]).dropna()
        seconds = trained["seconds"].sum()
        return float((trained["audio_rate"] * trained["seconds"]).sum() / seconds) if seconds > 0 else None

    @property
    def target_wer(self) -> float:
        """Word error rate in percent at which the run's target is reached."""
        return float(self.parameters["training.target_wer"])


def find_runs(paths: list[Path]) -> list[Path]:
    """Return the folders of the runs in `paths`, each of which is the folder of a run or of a series (`--runs`).

    Raises InputError on a path that is neither.
    """
    found: list[Path] = []
    for path in paths:
        here = [path] if RunFolder(path).log.is_file() else [run.path for run in SeriesFolder(path).runs()]
        if not here:
            name = RunFolder(path).log.name
            raise InputError(f"{path}: no {name} in it; give the folder of a run, or of several (--runs)")
        found += here
    return list(dict.fromkeys(found))


def read_records(folders: Sequence[Path]) -> list[Record]:
    """Return the runs in `folders`. If several have the same name, the name of the parent folder comes before it.

    Raises InputError as `read_record`.
    """
    records = [read_record(folder) for folder in folders]
    names = [record.name for record in records]
    for place, folder in enumerate(folders):
        if names.count(names[place]) > 1:
            records[place] = replace(records[place], name=f"{one_line(folder.resolve().parent.name)}/{names[place]}")
    return records


def read_record(folder: Path) -> Record:
    """Return the run in `folder`. Raises InputError, which names the file, if one of its files cannot be read."""
    run = RunFolder(folder)
    params, logs = settings.read_params(run.params), run.logs()
    return Record(
        name=one_line(folder.resolve().name),
        folder=folder,
        parameters=_flat(settings.to_dict(params)),
        changed={name: old for name, (old, _) in settings.differences(settings.preset(params.preset), params).items()},
        system=read_description(run.system) if run.system.exists() else {},
        epochs=pd.DataFrame(read_metrics(run.metrics)),
        steps=pd.DataFrame(read_steps(run.steps)),
        utterances=pd.DataFrame(read_utterances(run.utterances)),
        logs=[log_table(path) for path in logs if has_lines(path)],
        violations=[str(violation) for violation in check_log(logs[0], params.submission.division)],
    )


def _flat(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters by `section.name`; a value outside the sections keeps its name."""
    flat: dict[str, Any] = {}
    for section, value in parameters.items():
        flat |= {f"{section}.{name}": each for name, each in value.items()} if isinstance(value, dict) else {}
        flat |= {} if isinstance(value, dict) else {section: value}
    return flat
