"""The description of a system for a submission: the machine, the software, and who submits it.

The fields are those that mlperf_logging.system_desc_checker asks for, and two more from the MLPerf submission rules
(mlcommons/policies, submission_rules.adoc): `system_type` and `host_network_card_count`. Every value is a string.
Fields that software cannot find out (cooling, notes) are empty; `completed` fills them from a JSON file.
"""

import hashlib
import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from speech_recognition.errors import InputError
from speech_recognition.files import read_json
from speech_recognition.mlperf import machine
from speech_recognition.mlperf.machine import NOT_APPLICABLE, said_by
from speech_recognition.mlperf.mllog_writer import REPOSITORY

Description = dict[str, str]
"""Value of each field of a system description."""

STATUSES = {
    "onprem": "Available on-premise",
    "cloud": "Available cloud",
    "research": "Research, Development, or Internal (RDI)",
    "preview": "Preview",
}
"""Value of the description's `status` for each value of the log's `submission_status`."""

REQUIRED = (
    "submitter",
    "division",
    "system_type",
    "status",
    "system_name",
    "number_of_nodes",
    "host_processors_per_node",
    "host_processor_model_name",
    "host_processor_core_count",
    "host_processor_vcpu_count",
    "host_memory_capacity",
    "host_memory_configuration",
    "host_storage_type",
    "host_storage_capacity",
    "host_networking",
    "host_network_card_count",
    "host_networking_topology",
    "accelerators_per_node",
    "accelerator_model_name",
    "accelerator_host_interconnect",
    "accelerator_memory_capacity",
    "accelerator_memory_configuration",
    "accelerator_interconnect",
    "cooling",
    "framework",
    "other_software_stack",
    "operating_system",
)
"""Fields for which the submission rules require a meaningful response; the official checker accepts empty ones."""

_PACKAGES = ("torchaudio", "numpy", "soundfile", "mlperf-logging")
"""Packages whose versions the description states; torch is its `framework`."""


def submitted(submission: Mapping[str, str]) -> Description:
    """Return the fields of a description that repeat the log's org, platform, division and status."""
    return {
        "submitter": submission["org"],
        "division": submission["division"],
        "status": STATUSES[submission["status"]],
        "system_name": submission["platform"],
    }


def check_name(name: str, parameter: str) -> None:
    """Raise InputError, its message beginning with `parameter`, unless `name` can name a folder of a submission."""
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", name):
        raise InputError(f"{parameter}={name}: must be a name for a folder: letters, digits, . _ -")


def describe(submission: Mapping[str, str], *, nodes: int, gpus: int, storage: Path) -> Description:
    """Return the description of this machine, which is one of `nodes` equal machines and trains on `gpus` GPUs.

    `submission` holds org, platform, division and status as in the log; `storage` is a path on the disk with the data.
    """
    return {
        **submitted(submission),
        **machine.system_type(),
        "number_of_nodes": str(nodes),
        **machine.processors(),
        **machine.memory(),
        **machine.storage(storage),
        **machine.network(),
        "host_networking_topology": NOT_APPLICABLE if nodes == 1 else "",
        **machine.accelerators(gpus),
        **_software(),
    }


def blanks(description: Description) -> list[str]:
    """Return the names of the required fields that are missing or empty."""
    return [name for name in REQUIRED if not description.get(name, "").strip()]


def read_description(path: Path) -> Description:
    """Return a description, or a part of one, from a JSON file. Raises InputError unless every value is a string."""
    content = read_json(path, "mend it")
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise InputError(f"{path}: must be an object whose values are all strings")
    return content


def completed(description: Description, completion: Path) -> Description:
    """Return `description` with the values in the JSON file `completion`, which replace its own."""
    return description | read_description(completion)


def software_notes() -> str:
    """Return a sentence that names the commit of this repository, with "-dirty" if files differ from it."""
    commit = _git("rev-parse", "--verify", "HEAD")
    dirty = "-dirty" if commit and _differs() else ""
    return f"benchmark at commit {commit or 'unknown'}{dirty}"


def _git(*command: str) -> str:
    """Return the output of a git command on this repository, or "" if it fails.

    A different user may own the repository, and its configuration can name programs that git would run. Use only
    commands that read objects and the index: commands that compare files, such as `describe --dirty`, run filter
    programs. Hooks, the file system monitor and the download of missing objects are turned off.
    """
    settings = (f"safe.directory={REPOSITORY.resolve()}", "core.fsmonitor=false", "core.hooksPath=/dev/null")
    options = [option for setting in settings for option in ("-c", setting)]
    return said_by("git", "-C", str(REPOSITORY), *options, *command, GIT_NO_LAZY_FETCH="1", GIT_ALLOW_PROTOCOL="")


def _differs() -> bool:
    """Return whether the index, or a file that the commit holds, differs from the commit."""
    contents, staged = {}, {}
    for line in _git("ls-tree", "-r", "-z", "--full-tree", "HEAD").split("\0")[:-1]:
        description, _, name = line.partition("\t")
        contents[name] = description.split()[2]
    for line in _git("ls-files", "-s", "-z").split("\0")[:-1]:
        description, _, name = line.partition("\t")
        staged[name] = description.split()[1]
    return not contents or contents != staged or any(_blob(REPOSITORY / name) != contents[name] for name in contents)


def _blob(path: Path) -> str:
    """Return the hash under which git stores the content of the file, or "" if there is no file."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        start = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
        return hashlib.file_digest(file, lambda: start).hexdigest()


def _software() -> Description:
    """Return the fields of the software, and the empty ones that only a person can fill."""
    packages = [f"{name} {version(name)}" for name in _PACKAGES]
    if torch.version.cuda:
        packages.append(f"CUDA {torch.version.cuda}")
    release = platform.freedesktop_os_release() if hasattr(platform, "freedesktop_os_release") else {}
    return {
        "framework": f"PyTorch {torch.__version__}",
        "other_software_stack": ", ".join([f"Python {platform.python_version()}", *packages]),
        "operating_system": f"{release.get('PRETTY_NAME', platform.system())}, {platform.release()}",
        "cooling": "",
        "hw_notes": "",
        "sw_notes": software_notes(),
    }
