"""Submission folders in MLPerf's layout, made from the results of `--runs` and checked by the official checkers.

The layout is that of the MLPerf submission rules (mlcommons/policies, submission_rules.adoc):

<output>/<org>/systems/<platform>.json
<output>/<org>/results/<platform>/<benchmark>/result_<run>.txt
<output>/<org>/results/<platform>/<benchmark>/scaling.json            if the score has a factor above 1
<output>/<org>/benchmarks/<benchmark>/implementations/speech_recognition/...
<output>/<org>/benchmarks/<benchmark>/implementations/<platform>/...   how these runs were made
<output>/<org>/benchmarks/<benchmark>/implementations/<platform>/run_<run>/params.json
<output>/<org>/CHECKS.md
"""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from speech_recognition import settings
from speech_recognition.corpus.counts import option_of
from speech_recognition.errors import InputError
from speech_recognition.files import atomic_folder, atomic_write
from speech_recognition.mlperf.benchmarks import benchmarks
from speech_recognition.mlperf.log_table import log_table
from speech_recognition.mlperf.package_checks import Check, check_commit, check_package
from speech_recognition.mlperf.package_layout import IMPLEMENTATION, Layout
from speech_recognition.mlperf.score import FolderScore, score
from speech_recognition.mlperf.score_table import outcome
from speech_recognition.mlperf.system import STATUSES, check_name, completed, read_description
from speech_recognition.parameters import Params
from speech_recognition.runs.series_folder import SeriesFolder

_SUBMISSION = ("benchmark", "org", "platform", "division", "status")
_RUN = """\
#!/bin/sh
# Makes the runs of this submission; start it in the folder of the implementation.
set -eu
exec sh run_and_time.sh {preset} --runs {runs}{options}
"""
_DATASET = """\
#!/bin/sh
# Makes and verifies the dataset of this submission; start it in the folder of the implementation.
set -eu
sh download_dataset.sh {option} --data-dir {folder}
exec sh verify_dataset.sh {option} --data-dir {folder}
"""
_README = """\
# {platform}

{runs} runs of DeepSpeech2, preset `{preset}`. Data: {dataset}. From
`../{implementation}`, which holds the code as it ran:

1. `sh ../{platform}/init_datasets.sh` makes the dataset and verifies it
2. `sh ../{platform}/run_and_time.sh` makes the runs

`{platform}_{implementation}.json` holds the parameters, `run_<run>/params.json` those that each run wrote, and
`../../../../systems/{platform}.json` describes the system.
"""


@dataclass(frozen=True, kw_only=True)
class Package:
    """A submission that was made."""

    folder: Path
    """Folder of the submission, named after the org."""
    score: FolderScore
    checks: tuple[Check, ...]


def make_package(runs: Path, output: Path, source: Path, completion: Path | None) -> Package:
    """Make the submission's folder in `output` from `runs`, a folder of `run_and_time.sh --runs`, and check it.

    `source` is the repository whose code is packaged, `completion` a JSON file with further values for the system's
    description. Raises InputError if there are no results, if their submission_* lines differ or are not valid, or if
    `output` already holds a submission of the same org.
    """
    series = SeriesFolder(runs)
    results = series.results()
    submission = _submission(results)
    layout = Layout(output / submission["org"], submission["platform"], submission["benchmark"])
    if layout.path.exists():
        raise InputError(
            f"--output-dir {output}: has a submission of {submission['org']} already; choose a different folder"
        )
    scored = score(runs, results)
    params = [settings.read_params(series.run(number).params) for number in range(len(results))]
    # The machine that ran wrote this file; packaging may happen on a different one.
    system = ran = read_description(series.run(0).system)
    if completion:
        system = completed(system, completion)
    with atomic_folder(layout.path) as partial:
        _write(layout.at(partial), scored, params, source)
        _put(layout.at(partial).system, json.dumps(system, indent=2) + "\n")
    # The checks follow the move to the final place, because a checker reads the folder's name too.
    checks = (*check_package(layout, submission, scored), check_commit(ran))
    with atomic_write(layout.path / "CHECKS.md") as page:
        page.write_text(_page(submission, scored, checks), encoding="utf-8")
    return Package(folder=layout.path, score=scored, checks=checks)


def _submission(results: Sequence[Path]) -> dict[str, str]:
    """Return benchmark, org, platform, division and status. Raises InputError if the logs differ in them."""
    said = []
    for path in results:
        frame = log_table(path).set_index("key")["value"]
        missing = [name for name in _SUBMISSION if f"submission_{name}" not in frame]
        if missing:
            raise InputError(f"{path}: no submission_{missing[0]}; the run ended before it logged that line")
        said.append({name: str(frame[f"submission_{name}"]) for name in _SUBMISSION})
    for path, each in zip(results, said, strict=True):
        for name in _SUBMISSION:
            if each[name] != said[0][name]:
                raise InputError(f"{path}: submission_{name} is {each[name]}, but {said[0][name]} in {results[0].name}")
    for name, values in (
        ("benchmark", tuple(benchmarks())),
        ("division", ("closed", "open")),
        ("status", tuple(STATUSES)),
    ):
        if said[0][name] not in values:
            raise InputError(f"{results[0]}: submission_{name} is {said[0][name]}, must be one of {', '.join(values)}")
    for name in ("org", "platform"):
        check_name(said[0][name], f"submission.{name}")
    if said[0]["platform"] == IMPLEMENTATION:
        raise InputError(
            f"submission.platform={IMPLEMENTATION}: is the name of the code's folder; choose a different one"
        )
    return said[0]


def _dataset(results: Sequence[Path]) -> str:
    """Return a phrase on the dataset's verification for the README. Raises InputError if the logs' checksums differ."""
    said = set()
    for path in results:
        frame = log_table(path).set_index("key")
        said.add(str(frame["value"].get("dataset_checksum", "")))
    if len(said) > 1:
        raise InputError(f"{results[0].parent}: the runs used different datasets; package runs of one dataset")
    sha256 = said.pop()
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        return "not verified, as the open division allows"
    return f"verified before each run, SHA-256 of its tar stream `{sha256}`"


def _write(layout: Layout, scored: FolderScore, params: Sequence[Params], source: Path) -> None:
    """Write everything but the system's description; `params` holds the parameters of each run."""
    results = [run.path for run in scored.runs]
    layout.results.path.mkdir(parents=True)
    for path in results:
        shutil.copyfile(path, layout.results.path / path.name)
    if scored.factor > 1:
        _put(layout.scaling, json.dumps({"scaling_factor": scored.factor}) + "\n")
    _copy_source(source, layout.code)
    for number, each in enumerate(params):
        _put(layout.own.run(number).params, json.dumps(settings.to_dict(each), indent=2) + "\n")
    own, first, platform = layout.own.path, params[0], layout.platform
    option, folder = option_of(settings.preset(first.preset).data.dataset), shlex.quote(first.data.dataset)
    options = "".join(f" \\\n    --set {shlex.quote(each)}" for each in settings.assignments(first))
    _put(own / f"{platform}_{IMPLEMENTATION}.json", json.dumps(settings.to_dict(first), indent=2) + "\n")
    _put(own / "run_and_time.sh", _RUN.format(preset=first.preset, runs=len(results), options=options))
    _put(own / "init_datasets.sh", _DATASET.format(option=option, folder=folder))
    _put(own / "setup.sh", "#!/bin/sh\n# run_and_time.sh makes its environment from requirements.lock by itself.\n")
    readme = _README.format(
        platform=platform,
        runs=len(results),
        dataset=_dataset(results),
        preset=first.preset,
        implementation=IMPLEMENTATION,
    )
    _put(own / "README.md", readme)


def _copy_source(source: Path, target: Path) -> None:
    """Copy the files that git tracks, except hidden ones, whose names MLPerf's repository checker refuses."""
    command = ["git", "-C", str(source), "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    except (OSError, subprocess.CalledProcessError):
        raise InputError(
            f"{source}: not a git repository; package from a clone, so that the code is what ran"
        ) from None
    for name in filter(None, listed):
        if not any(part.startswith(".") for part in Path(name).parts) and (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / name, target / name)


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _page(submission: dict[str, str], scored: FolderScore, checks: Sequence[Check]) -> str:
    lines = [f"# {submission['org']}: {submission['platform']}", ""]
    lines += [f"- {name}: {text}" for name, text in outcome(scored).items()]
    lines += ["", "| check | verdict |", "|---|---|"]
    lines += [f"| {check.name} | {check.verdict} |" for check in checks]
    for check in checks:
        if check.findings:
            lines += ["", f"## {check.name}", "", *(f"- {finding}" for finding in check.findings)]
    return "\n".join(lines) + "\n"
