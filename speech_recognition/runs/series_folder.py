"""The folder of a series of runs (`--runs N`): the one place that knows the names in it."""

from dataclasses import dataclass
from pathlib import Path

from speech_recognition.errors import InputError
from speech_recognition.runs.folder import RunFolder


@dataclass(frozen=True)
class SeriesFolder:
    """The paths in a series' folder. None of them has to exist; runs have numbers from 0."""

    path: Path

    @property
    def summary(self) -> Path:
        """Result of every run, and the score, in JSON."""
        return self.path / "summary.json"

    def result(self, number: int) -> Path:
        """Return the path of a run's standard output, which is its log."""
        return self.path / f"result_{number}.txt"

    def run(self, number: int) -> RunFolder:
        """Return the folder of a run."""
        return RunFolder(self.path / f"run_{number}")

    def results(self) -> list[Path]:
        """Return the runs' result files in order. Raises InputError if there is none, or if a number is missing."""
        found = set(self.path.glob("result_*.txt"))
        expected = [self.result(number) for number in range(len(found))]
        if not found or found != set(expected):
            raise InputError(
                f"{self.path}: no result_0.txt, result_1.txt and so on; give the folder of a run_and_time.sh --runs"
            )
        return expected

    def all_logs(self) -> list[Path]:
        """Return the logs of runs made here or elsewhere, in order; [] if there are none.

        They are the result files, whatever their numbers; without those, the logs in run_*; else every *.out.
        """
        found = (
            list(self.path.glob("result_*.txt")) or [run.log for run in self.runs()] or list(self.path.glob("*.out"))
        )
        return sorted(found, key=lambda path: (len(str(path)), str(path)))

    def runs(self) -> list[RunFolder]:
        """Return the folders of the runs that have begun a log, in order."""
        found = [path for path in self.path.glob("run_*") if RunFolder(path).log.is_file()]
        return [RunFolder(path) for path in sorted(found, key=lambda path: (len(path.name), path.name))]
