"""Which division a run belongs to: the closed one, or the open one and why.

The closed division has its preset's data, model and optimizer; learning rate, its schedule and the batch size are
free. mlperf/rules/closed.yaml holds the log to the same. What is decided here is said before the clock runs.
"""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from params import MINI_FOLDER, Params
from speech_recognition import settings
from speech_recognition.corpus.checksum import find_reference
from speech_recognition.corpus.counts import read_counts
from speech_recognition.corpus.stamp import Verified, read_stamp
from speech_recognition.errors import ExitStatus, VerificationError, one_line

MOST_EPOCHS = 10
"""Passes over the training data that the closed division allows."""

_CLOSED = (
    "model.",
    "features.",
    "augmentation.",
    "data.order",
    "data.longest_seconds",
    "training.target_wer",
    "optimizer.name",
    "optimizer.momentum",
    "optimizer.beta",
    "optimizer.epsilon",
    "optimizer.weight_decay",
    "optimizer.clip_norm",
)
"""Beginnings of the names of the parameters that a closed run takes from its preset."""

_FREE = ("model.precision", "augmentation.pictures")
"""Parameters that are free in a closed run although a beginning in _CLOSED matches them."""

_SHOWN = 10
"""Most lines of a command's output that are shown: a dataset can differ in every file."""


def decide(params: Params, data_dir: Path, references: Path, own_manifests: bool) -> tuple[Params, Verified | None]:
    """Return `params` with the division that they belong to, and the verified dataset of a closed run.

    A run that is open by its parameters stays open, and its dataset is not verified. `references` is the folder of the
    pinned checksums. Raises InputError if there is no dataset, and VerificationError if a dataset claims to be the
    preset's and has a different checksum.
    """
    if params.submission.division == "open":
        return params, None
    reasons = open_reasons(params) + (["manifests of your own"] if own_manifests else [])
    option = dataset_option(params)
    if not reasons and (present := read_counts(data_dir).dataset) != option:
        reasons = [f"the dataset {one_line(present)!r} in {data_dir}, not {option!r}"]
    if reasons:
        print(f"note: this run is of the open division: {'; '.join(reasons)}", file=sys.stderr)
        return replace(params, submission=replace(params.submission, division="open")), None
    return params, verified(option, data_dir, references)


def dataset_option(params: Params) -> str:
    """Return the option of `download` that makes the dataset of the run's preset."""
    return "mini" if settings.preset(params.preset).data.dataset == MINI_FOLDER else "all"


def open_reasons(params: Params) -> list[str]:
    """Return the parameters, as name=value, with which a run of this preset is of the open division."""
    changes = settings.differences(settings.preset(params.preset), params)
    reasons = [
        f"{name}={value}" for name, (_, value) in changes.items() if name.startswith(_CLOSED) and name not in _FREE
    ]
    if params.training.epochs > MOST_EPOCHS:
        reasons.append(f"training.epochs={params.training.epochs}")
    return reasons


def verified(option: str, data_dir: Path, references: Path) -> Verified:
    """Return the verified dataset: from the stamp of its last verification, else after verifying it now.

    The verification runs in a process of its own, so that this one has read no data when its clock starts; its output
    goes to standard error. Raises VerificationError if the dataset is not the reference's.
    """
    sha256 = find_reference(option, references, data_dir).sha256
    stamped = read_stamp(data_dir, sha256)
    if stamped is None:
        print(f"verifying {data_dir} before the run", file=sys.stderr)
        run_command("verify", option, "--data-dir", str(data_dir))
    return stamped or Verified(dataset=option, sha256=sha256)


def run_command(*arguments: str) -> None:
    """Run a command of this program in a process of its own, the first lines of its output on standard error.

    Raises VerificationError if its status is FAILURE; ends the program with any other status that is not 0,
    since the command has said why.
    """
    command = [sys.executable, "-m", "speech_recognition", *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, errors="replace")
    status, lines = result.returncode, result.stdout.splitlines()
    for line in lines[:_SHOWN]:
        print(line, file=sys.stderr)
    if len(lines) > _SHOWN:
        print(f"... and {len(lines) - _SHOWN} more lines", file=sys.stderr)
    if status == ExitStatus.FAILURE:
        raise VerificationError(
            f"{' '.join(arguments)}: failed, see the lines above; the run has not begun. Remove the dataset and make it"
            " again, or run in the open division: --set submission.division=open"
        )
    if status:
        raise SystemExit(status if status > 0 else 128 - status)  # subprocess has -N for a process that signal N ended
