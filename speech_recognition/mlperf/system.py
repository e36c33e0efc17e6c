"""The description of a system for a submission, read from the machine that runs this code.

The fields are those that mlperf_logging.system_desc_checker requires; every value is a string. Fields that software
cannot find out (cooling, host interconnects, notes) are empty; `completed` fills them from a JSON file.
"""

import hashlib
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import torch

from speech_recognition.errors import InputError
from speech_recognition.files import read_json
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
    own = submitted(submission) | {"number_of_nodes": str(nodes)}
    return own | _processors() | _memory_and_storage(storage) | _accelerators(gpus) | _software()


def read_description(path: Path) -> Description:
    """Return a description, or a part of one, from a JSON file. Raises InputError unless every value is a string."""
    content = read_json(path, "mend it")
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise InputError(f"{path}: must be an object whose values are all strings")
    return content


def completed(description: Description, completion: Path) -> Description:
    """Return `description` with the values in the JSON file `completion`, which replace its own."""
    return description | read_description(completion)


def _processors() -> Description:
    """Return the fields of the host's processors, from /proc/cpuinfo and /sys."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace") if Path("/proc/cpuinfo").exists() else ""

    def values(name: str) -> list[str]:
        """Return the value of a field for each virtual core."""
        return re.findall(rf"^{name}\s*: (.*)$", info, re.MULTILINE)

    sockets = len(set(values("physical id"))) or 1
    # A core's id is unique on its socket only. Where /proc/cpuinfo has no ids, each virtual core counts as a core.
    cores = len(set(zip(values("physical id"), values("core id"), strict=False))) or os.cpu_count() or 1
    caches = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = (_text(index / name) for name in ("level", "type", "size"))
        caches.append(f"L{level} {kind.lower()} {size}")
    return {
        "host_processors_per_node": str(sockets),
        "host_processor_model_name": next(iter(values("model name")), platform.processor()),
        "host_processor_core_count": str(cores // sockets),
        "host_processor_vcpu_count": str(os.cpu_count()),
        "host_processor_frequency": f"{float(next(iter(values('cpu MHz')), '0')):.0f} MHz",
        "host_processor_caches": ", ".join(caches),
        "host_processor_interconnect": "",
    }


def _memory_and_storage(storage: Path) -> Description:
    """Return the fields of memory, of the disk that holds `storage`, and of the network."""
    existing = next(path for path in (storage.absolute(), *storage.absolute().parents) if path.exists())
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "host_memory_capacity": f"{pages / 2**30:.0f} GiB",
        "host_memory_configuration": "",
        "host_storage_type": _file_system(existing),
        "host_storage_capacity": f"{shutil.disk_usage(existing).total / 1e9:.0f} GB",
        "host_networking": ", ".join(_networks()),
        "host_networking_topology": "",
    }


def _file_system(path: Path) -> str:
    """Return the type of the file system that holds `path`, or "" if /proc/mounts cannot be read.

    That is the file system with the longest mount point above the path.
    """
    try:
        content = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
        mounts = [line.split()[1:3] for line in content.splitlines()]
    except OSError:
        return ""
    above = [(len(point), kind) for point, kind in mounts if path.is_relative_to(point)]
    return max(above, default=(0, ""))[1]


def _networks() -> list[str]:
    """Return the network interfaces except the loopback, with their speed if the system knows it."""
    names = []
    for interface in sorted(Path("/sys/class/net").glob("*")):
        speed = _text(interface / "speed")
        if interface.name != "lo":
            names.append(f"{interface.name} {speed} Mbit/s" if speed.isdigit() else interface.name)
    return names


def _accelerators(gpus: int) -> Description:
    """Return the fields of `gpus` equal GPUs, read from the first; all empty but the number if there is none."""
    described = {
        "accelerators_per_node": str(gpus),
        "accelerator_model_name": "",
        "accelerator_memory_capacity": "",
        "accelerator_frequency": "",
        "accelerator_host_interconnect": "",
        "accelerator_on-chip_memories": "",
        "accelerator_memory_configuration": "",
        "accelerator_interconnect": "",
        "accelerator_interconnect_topology": "",
    }
    if gpus:
        properties = torch.cuda.get_device_properties(0)
        described["accelerator_model_name"] = properties.name
        described["accelerator_memory_capacity"] = f"{properties.total_memory / 2**30:.0f} GiB"
        described["accelerator_frequency"] = _gpu("clocks.max.sm")
        generation, width = _gpu("pcie.link.gen.max"), _gpu("pcie.link.width.max")
        described["accelerator_host_interconnect"] = f"PCIe generation {generation}, x{width}" if generation else ""
        links = re.findall(r"Link \d+: (.+)", _said_by("nvidia-smi", "nvlink", "--status", "--id=0"))
        described["accelerator_interconnect"] = f"NVLink, {len(links)} links of {links[0]}" if links else ""
    return described


def _gpu(query: str) -> str:
    """Return what nvidia-smi says of the first GPU for `query`, or "" if it fails."""
    return _said_by("nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader", "--id=0")


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
    return _said_by("git", "-C", str(REPOSITORY), *options, *command, GIT_NO_LAZY_FETCH="1", GIT_ALLOW_PROTOCOL="")


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


def _said_by(*command: str, **variables: str) -> str:
    """Return the output of a command, with `variables` in its environment; "" if it fails or takes over 30 s."""
    environment = os.environ | variables
    try:
        said = subprocess.run(command, env=environment, capture_output=True, timeout=30, check=True).stdout
        return said.decode(errors="replace").strip()
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""


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


def _text(path: Path) -> str:
    """Return the text of a file of the system, or "" if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # reading the speed of a virtual or unplugged interface fails
        return ""
