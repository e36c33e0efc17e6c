"""What this machine consists of, read from /proc, /sys and nvidia-smi, as fields of a system description.

A field that the machine does not tell is empty. A field that does not apply to it is "N/A".
"""

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import torch

SYS, PROC = Path("/sys"), Path("/proc")
"""Folders in which Linux describes the machine."""

NOT_APPLICABLE = "N/A"
"""Value of a field that does not apply to the machine, as in the examples of the submission rules."""

_SERVER_CHASSIS = ("17", "23", "25", "28", "29")
"""SMBIOS numbers of chassis that stand in data centres: main server, rack mount, multi-system, blade and its rack."""

_NETWORK_FILE_SYSTEMS = re.compile(r"nfs4?|cifs|smb3|lustre|gpfs|beegfs|ceph|afs|(fuse\.)?glusterfs|fuse\.sshfs")


def system_type() -> dict[str, str]:
    """Return the kind of system: datacenter if the chassis is a server's. Other chassis, and clouds, do not tell."""
    chassis = _text(SYS / "class" / "dmi" / "id" / "chassis_type")
    return {"system_type": "datacenter" if chassis in _SERVER_CHASSIS else ""}


def processors() -> dict[str, str]:
    """Return the fields of the host's processors."""
    info = _text(PROC / "cpuinfo")

    def values(name: str) -> list[str]:
        """Return the value of a field for each virtual core."""
        return re.findall(rf"^{name}\s*: (.*)$", info, re.MULTILINE)

    sockets = len(set(values("physical id"))) or 1
    # A core's id is unique on its socket only. Where /proc/cpuinfo has no ids, each virtual core counts as a core.
    cores = len(set(zip(values("physical id"), values("core id"), strict=False))) or os.cpu_count() or 1
    caches = []
    for index in sorted((SYS / "devices" / "system" / "cpu" / "cpu0" / "cache").glob("index*")):
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


def memory() -> dict[str, str]:
    """Return the fields of the host's memory."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {"host_memory_capacity": f"{pages / 2**30:.0f} GiB", "host_memory_configuration": ""}


def storage(path: Path) -> dict[str, str]:
    """Return the fields of the disk that holds `path`, which need not exist yet."""
    existing = next(each for each in (path.absolute(), *path.absolute().parents) if each.exists())
    return {
        "host_storage_type": _storage_type(existing.resolve()),
        "host_storage_capacity": f"{shutil.disk_usage(existing).total / 1e9:.0f} GB",
    }


def _storage_type(path: Path) -> str:
    """Return the kind of disk behind `path`, such as "NVMe SSD" or "network"; "" if the machine does not tell."""
    mounts = []
    for line in _text(PROC / "self" / "mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        words = [*left.split()[2:5:2], *right.split()[:2]]
        mounts.append([re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), word) for word in words])
    # The mount with the longest mount point above the path; of several at the same point, the last hides the others.
    above = [mount for mount in mounts if len(mount) == 4 and path.is_relative_to(mount[1])]
    if not above:
        return ""
    device, _, file_system, source = max(reversed(above), key=lambda mount: len(mount[1]))
    if _NETWORK_FILE_SYSTEMS.fullmatch(file_system):
        return "network"
    if device.startswith("0:"):  # btrfs and others have no number of their own, but name their device
        return _disk_type(SYS / "class" / "block" / Path(source).resolve().name)
    return _disk_type(SYS / "dev" / "block" / device)


def _disk_type(block: Path) -> str:
    """Return the kind of a disk or partition by its folder in /sys; "" if it does not tell.

    Virtual disks do not tell: their `rotational` is what the hypervisor happens to set.
    """
    disk = block.resolve()
    if (disk / "partition").exists():
        disk = disk.parent
    parts = {_disk_type(each) for each in (disk / "slaves").glob("*")}  # of a RAID, or an encrypted or logical volume
    if parts:
        return "" if "" in parts else " and ".join(sorted(parts))
    if disk.name.startswith("nvme"):
        return "NVMe SSD"
    sata = any(re.fullmatch(r"ata\d+", part) for part in disk.parts)
    sas = any(part.startswith("end_device-") for part in disk.parts)
    kinds = {"0": "SATA SSD" if sata else "SAS SSD", "1": "HDD"}
    return kinds.get(_text(disk / "queue" / "rotational"), "") if sata or sas else ""


def network() -> dict[str, str]:
    """Return the fields of the network: how many cards there are, and each kind of link with its speeds.

    Interfaces without a device of their own are left out: loopback, bridges, veth, ifb and the like.
    """
    cards: set[str] = set()
    speeds: dict[str, set[int]] = {}
    for interface in sorted((SYS / "class" / "net").glob("*")):
        device, kind = interface / "device", _link_kind(interface)
        if not kind or not device.exists() or (device / "physfn").exists():  # physfn: a virtual function of a card
            continue
        cards.add(device.resolve().name.rpartition(".")[0] or device.resolve().name)  # ports are functions of a card
        speed = _text(interface / "speed")
        speeds.setdefault(kind, set()).update({int(speed)} if speed.isdigit() else ())  # Mbit/s; -1: no cable
    links = [
        f"{kind} {speed / 1000:g} Gbit/s" if speed else kind
        for kind, known in speeds.items()
        for speed in sorted(known or {0})
    ]
    return {
        "host_networking": ", ".join(links),
        "host_network_card_count": str(len(cards)) if cards else "",
    }


def _link_kind(interface: Path) -> str:
    """Return the kind of an interface's link by the kernel's number (ARPHRD_*), or "" for one that is no network."""
    if (interface / "wireless").exists():
        return "Wi-Fi"
    return {"1": "Ethernet", "32": "InfiniBand"}.get(_text(interface / "type"), "")


def accelerators(gpus: int) -> dict[str, str]:
    """Return the fields of `gpus` equal GPUs, read from the first; none of them applies if there is no GPU."""
    described = {
        "accelerator_model_name": "",
        "accelerator_memory_capacity": "",
        "accelerator_frequency": "",
        "accelerator_host_interconnect": "",
        "accelerator_on-chip_memories": "",
        "accelerator_memory_configuration": "",
        "accelerator_interconnect": "",
        "accelerator_interconnect_topology": "",
    }
    if not gpus:
        return {"accelerators_per_node": "0"} | dict.fromkeys(described, NOT_APPLICABLE)
    properties = torch.cuda.get_device_properties(0)
    described["accelerator_model_name"] = properties.name
    described["accelerator_memory_capacity"] = f"{properties.total_memory / 2**30:.0f} GiB"
    described["accelerator_frequency"] = _gpu("clocks.max.sm")
    generation, width = _gpu("pcie.link.gen.max"), _gpu("pcie.link.width.max")
    described["accelerator_host_interconnect"] = f"PCIe generation {generation}, x{width}" if generation else ""
    links = re.findall(r"Link \d+: (.+)", said_by("nvidia-smi", "nvlink", "--status", "--id=0"))
    between = f"NVLink, {len(links)} links of {links[0]}" if links else "PCIe" if generation else ""
    described["accelerator_interconnect"] = between if gpus > 1 else NOT_APPLICABLE
    return {"accelerators_per_node": str(gpus)} | described


def _gpu(query: str) -> str:
    """Return what nvidia-smi says of the first GPU for `query`, or "" if it fails."""
    return said_by("nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader", "--id=0")


def said_by(*command: str, **variables: str) -> str:
    """Return the output of a command, with `variables` in its environment; "" if it fails or takes over 30 s."""
    environment = os.environ | variables
    try:
        said = subprocess.run(command, env=environment, capture_output=True, timeout=30, check=True).stdout
        return said.decode(errors="replace").strip()
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""


def _text(path: Path) -> str:
    """Return the text of a file of the system, or "" if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # reading the speed of a virtual or unplugged interface fails
        return ""
