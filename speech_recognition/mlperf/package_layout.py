"""The layout of a submission's folder: the one place that knows the names in it.

It is that of the MLPerf submission rules (mlcommons/policies, submission_rules.adoc); package.py draws the tree.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from speech_recognition.runs.series_folder import SeriesFolder

IMPLEMENTATION = "speech_recognition"
"""Name of the folder with the code."""


@dataclass(frozen=True)
class Layout:
    """The paths in the folder of one org, which submits one system to one benchmark. None of them has to exist."""

    path: Path
    platform: str
    """Name of the system."""
    benchmark: str
    """Value of `submission_benchmark` in the logs."""

    def at(self, path: Path) -> "Layout":
        """Return the same layout in a different folder."""
        return replace(self, path=path)

    @property
    def system(self) -> Path:
        """Description of the system."""
        return self.path / "systems" / f"{self.platform}.json"

    @property
    def results(self) -> SeriesFolder:
        """Result files, and nothing else but the scaling factor: the official checker warns of other files."""
        return SeriesFolder(self.path / "results" / self.platform / self.benchmark)

    @property
    def scaling(self) -> Path:
        """Factor of the score; the official result_summarizer multiplies the minutes by it."""
        return self.results.path / "scaling.json"

    @property
    def code(self) -> Path:
        """Code as it ran."""
        return self._implementations / IMPLEMENTATION

    @property
    def own(self) -> SeriesFolder:
        """Folder of the system's scripts and parameters, with a folder for each run."""
        return SeriesFolder(self._implementations / self.platform)

    @property
    def _implementations(self) -> Path:
        return self.path / "benchmarks" / self.benchmark / "implementations"
