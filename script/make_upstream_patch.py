"""Make the patches in docs/upstream/, which register the benchmarks in mlperf-logging.

    .venv/bin/python script/make_upstream_patch.py

For maintainers only. Run it after a change of speech_recognition/mlperf/rules/ or speech_recognition/mlperf/points/; a
test fails until it has been run. The patches fit the version of mlperf-logging that pyproject.toml asks for.
"""

import difflib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

import mlperf_logging

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from script.upstream_rules import rule_file  # noqa: E402
from speech_recognition.files import atomic_write  # noqa: E402
from speech_recognition.mlperf.benchmarks import benchmarks  # noqa: E402
from speech_recognition.mlperf.check import RULESET, Division  # noqa: E402
from speech_recognition.mlperf.convergence import RUNS, reference_points  # noqa: E402

FOLDER = ROOT / "docs" / "upstream"
OFFICIAL = Path(mlperf_logging.__file__).parent
_CHECKER, _POINTS = f"compliance_checker/training_{RULESET}", f"rcp_checker/training_{RULESET}"
_CONTEXT = 1
"""Lines of mlperf-logging on each side of a change, which are not ours; as few as patch needs."""


def patches() -> dict[str, str]:
    """Return the text of each patch, by the name of its file."""
    return {
        "deepspeech2.patch": _patch(registration()),
        "compute_score.patch": _patch(compute_score()),
    }


def _patch(files: Mapping[str, str]) -> str:
    """Return the unified diff from the installed files to `files`; one that is not installed is new."""
    lines: list[str] = []
    for path, text in files.items():
        old = OFFICIAL / path
        before = old.read_text(encoding="utf-8").splitlines(True) if old.is_file() else []
        names = f"a/mlperf_logging/{path}" if before else "/dev/null", f"b/mlperf_logging/{path}"
        lines += difflib.unified_diff(before, text.splitlines(True), *names, n=_CONTEXT)
    return "".join(lines)


def registration() -> dict[str, str]:
    """Return the files that register our benchmarks, by their paths in mlperf_logging.

    Tables that list the benchmarks have ours before their last one.
    """
    names, divisions = tuple(benchmarks()), get_args(Division)
    listed = ", ".join(f"'{name}'" for name in names)
    counts = [f"'{name}': {RUNS}," for name in names]
    constants = [f'{name.upper()} = "{name}"' for name in names]
    points = {name: path for name in names if (path := reference_points(name))}
    return {
        "benchmark_meta.py": _before("benchmark_meta.py", {"'dlrmv4': 10,": counts, "'dlrmv4'": [f"{listed},"]}),
        "mllog/constants.py": _before("mllog/constants.py", {'DLRMV4 = "dlrmv4"': constants}),
        "rcp_checker/rcp_checker.py": _before("rcp_checker/rcp_checker.py", {"'dlrmv4': 10,": counts}),
        **{
            path: _replaced(path, "'dlrmv4']", f"{listed}, 'dlrmv4']")
            for path in (f"{_CHECKER}/{division}_common.yaml" for division in divisions)
        },
        **{f"{_CHECKER}/{each}_{name}.yaml": rule_file(name, each) for name in names for each in divisions},
        **{f"{_POINTS}/rcps_{name}.json": path.read_text(encoding="utf-8") for name, path in points.items()},
    }


def compute_score() -> dict[str, str]:
    """Return the file of compute_score that unpacks all five values of the function that scores."""
    path, values = "result_summarizer/compute_score/__main__.py", "scores_track, power_scores_track, score, power_score"
    return {path: _replaced(path, f"{values} = (", f"{values}, _ = (")}


def _before(path: str, added: Mapping[str, Iterable[str]]) -> str:
    """Return an official file with lines inserted before each of the lines that `added` names, equally indented."""
    lines = (OFFICIAL / path).read_text(encoding="utf-8").splitlines(True)
    for line, new in added.items():
        (place,) = [number for number, each in enumerate(lines) if each.strip() == line]
        indent = lines[place].partition(line)[0]
        lines[place:place] = [f"{indent}{each}\n" for each in new]
    return "".join(lines)


def _replaced(path: str, old: str, new: str) -> str:
    """Return an official file with its only occurrence of `old` replaced."""
    before, after = (OFFICIAL / path).read_text(encoding="utf-8").split(old)
    return before + new + after


def main() -> None:
    """Write the patches and print their paths."""
    for name, text in patches().items():
        with atomic_write(FOLDER / name) as partial:
            partial.write_text(text, encoding="utf-8")
        print(FOLDER / name)


if __name__ == "__main__":
    main()
