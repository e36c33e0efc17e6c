"""Which division a run belongs to: the closed one, or the open one and why.

mlperf/rules/benchmarks.yaml defines what a closed run may change. What is decided here is said before the clock runs.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from speech_recognition.corpus.checksum import find_reference
from speech_recognition.corpus.counts import read_counts
from speech_recognition.corpus.stamp import Verified, read_stamp
from speech_recognition.errors import ExitStatus, VerificationError, one_line
from speech_recognition.mlperf.benchmarks import benchmark_of
from speech_recognition.mlperf.closed import data_reasons, open_reasons
from speech_recognition.parameters import Params

_SHOWN = 10
"""Most lines of a command's output that are shown: a dataset can differ in every file."""


def decide(
    params: Params, data_dir: Path, references: Path, *, own_manifests: bool = False, drops_caches: bool = True
) -> tuple[Params, Verified | None]:
    """Return `params` with the division that they belong to, and the verified dataset of a closed run.

    A run that is open by its parameters stays open, and its dataset is not verified. `references` is the folder of the
    pinned checksums; `drops_caches` says whether every machine may drop its page cache. Raises InputError if there is
    no dataset, and VerificationError if a dataset claims to be the benchmark's and has a different checksum.
    """
    if params.submission.division == "open":
        return params, None
    reasons = open_reasons(params)
    if own_manifests:
        reasons.append("manifests of your own")
    if not drops_caches:
        reasons.append("the page cache cannot be dropped (only root may)")
    if not reasons:
        reasons = _dataset_reasons(params, data_dir)
    if reasons:
        print(f"note: this run is of the open division: {'; '.join(reasons)}", file=sys.stderr)
        return replace(params, submission=replace(params.submission, division="open")), None
    return params, verified(dataset_option(params), data_dir, references)


def dataset_option(params: Params) -> str:
    """Return the option of `download` that makes the dataset of the run's benchmark."""
    return benchmark_of(params.preset).option


def _dataset_reasons(params: Params, data_dir: Path) -> list[str]:
    """Return why the dataset is not the benchmark's by its own account. Raises InputError if there is none."""
    option, counts = dataset_option(params), read_counts(data_dir)
    if counts.dataset != option:
        return [f"the dataset {one_line(counts.dataset)!r} in {data_dir}, not {option!r}"]
    return data_reasons(benchmark_of(params.preset), counts)


def verified(option: str, data_dir: Path, references: Path) -> Verified:
    """Return the verified dataset: from the stamp of its last verification, else after verifying it now.

    The verification runs in a process of its own, so that this one has read no data when its clock starts; its output
    goes to standard error. Raises VerificationError if the dataset is not the reference's.
    """
    sha256 = find_reference(option, references, data_dir).sha256
    stamped = read_stamp(data_dir, sha256)
    if stamped is None:
        print(f"verifying {data_dir} before the run", file=sys.stderr)
        advice = "; remove the dataset and make it again, or run in the open division: --set submission.division=open"
        run_command("verify", option, "--data-dir", str(data_dir), advice=advice)
    return stamped or Verified(dataset=option, sha256=sha256)


def run_command(*arguments: str, advice: str = "") -> None:
    """Run a command of this program in a process of its own, the first lines of its output on standard error.

    Raises VerificationError, whose message ends in `advice`, if its status is FAILURE; ends the program with any other
    status that is not 0, since the command has said why.
    """
    command = [sys.executable, "-m", "speech_recognition", *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, errors="replace")
    status, lines = result.returncode, result.stdout.splitlines()
    for line in lines[:_SHOWN]:
        print(line, file=sys.stderr)
    if len(lines) > _SHOWN:
        print(f"... and {len(lines) - _SHOWN} more lines", file=sys.stderr)
    if status == ExitStatus.FAILURE:
        raise VerificationError(f"{' '.join(arguments)}: failed, see the lines above; the run has not begun{advice}")
    if status:
        raise SystemExit(status if status > 0 else 128 - status)  # subprocess has -N for a process that signal N ended
