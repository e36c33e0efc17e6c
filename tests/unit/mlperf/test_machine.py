"""Tests of reading the machine: on copies of what Linux shows of other machines, and on this one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from speech_recognition.mlperf import machine

PCI = "devices/pci0000:00"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of a machine that has nothing yet in its sys/ and proc/."""
    for name in ("sys", "proc"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(machine, name.upper(), tmp_path / name)
    return tmp_path


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    target.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@pytest.fixture
def disk(root: Path) -> Callable[..., None]:
    """Return a function that adds a disk, or a partition of one, with a number such as "8:1"."""

    def add(where: str, number: str, rotational: int = 0, partition: str = "") -> None:
        folder = root / "sys" / where
        put(folder / "queue" / "rotational", str(rotational))
        if partition:
            put(folder / partition / "partition", "1")
        link(root / "sys" / "dev" / "block" / number, folder / partition)
        link(root / "sys" / "class" / "block" / (folder / partition).name, folder / partition)

    return add


def mounted(root: Path, *mounts: str) -> None:
    """Write the table of mounts; each is "number point file_system source"."""
    lines = []
    for index, mount in enumerate(mounts):
        number, point, kind, source = mount.split(" ")
        lines.append(f"{index + 20} 1 {number} / {point} rw,relatime shared:1 - {kind} {source} rw")
    put(root / "proc" / "self" / "mountinfo", "\n".join(lines))


def kind_of(path: Path) -> str:
    return machine.storage(path)["host_storage_type"]


@pytest.mark.parametrize(
    ("where", "rotational", "kind"),
    [
        (f"{PCI}/0000:00:1d.0/nvme/nvme0/nvme0n1", 0, "NVMe SSD"),
        (f"{PCI}/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda", 0, "SATA SSD"),
        (f"{PCI}/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda", 1, "HDD"),
        (f"{PCI}/0000:01:00.0/host0/port-0:0/end_device-0:0/target0:0:0/block/sda", 0, "SAS SSD"),
        (f"{PCI}/0000:00:02.0/virtio1/block/vda", 1, ""),
        (f"{PCI}/0000:00:02.0/virtio1/host0/target0:0:1/block/sda", 0, ""),
    ],
)
@pytest.mark.parametrize("partition", ["", "part1"])
def test_the_kind_of_a_disk_is_read_off_its_bus(
    root: Path, disk: Callable[..., None], where: str, rotational: int, kind: str, partition: str
) -> None:
    disk(where, "8:1", rotational, partition)
    mounted(root, "8:1 / ext4 /dev/root")
    assert kind_of(root / "not" / "yet" / "there") == kind


def test_the_disk_is_that_of_the_innermost_and_last_mount(root: Path, disk: Callable[..., None]) -> None:
    disk(f"{PCI}/nvme/nvme0/nvme0n1", "259:0")
    disk(f"{PCI}/ata1/block/sda", "8:0", rotational=1)
    disk(f"{PCI}/ata2/block/sdb", "8:16")
    (root / "my data").mkdir()
    spaced = str(root / "my data").replace(" ", "\\040")
    mounted(
        root, "259:0 / ext4 /dev/nvme0n1", f"8:0 {root} xfs /dev/sda", f"8:0 {spaced} xfs x", f"8:16 {spaced} xfs y"
    )
    assert (kind_of(Path("/")), kind_of(root), kind_of(root / "my data")) == ("NVMe SSD", "HDD", "SATA SSD")
    (root / "link").symlink_to(root / "my data")
    assert kind_of(root / "link") == "SATA SSD"


@pytest.mark.parametrize(
    ("mount", "kind"),
    [
        ("0:50 / nfs4 server:/export", "network"),
        ("0:51 / lustre mgs@tcp:/fs", "network"),
        ("0:52 / btrfs /dev/nvme0n1", "NVMe SSD"),
        ("0:53 / overlay overlay", ""),
        ("0:54 / tmpfs tmpfs", ""),
    ],
)
def test_a_file_system_without_a_disk_of_its_own(root: Path, disk: Callable[..., None], mount: str, kind: str) -> None:
    disk(f"{PCI}/nvme/nvme0/nvme0n1", "259:0")
    mounted(root, mount)
    assert kind_of(root) == kind


def test_a_volume_has_the_kinds_of_its_disks(root: Path, disk: Callable[..., None]) -> None:
    disk(f"{PCI}/nvme/nvme0/nvme0n1", "259:0", partition="nvme0n1p2")
    disk(f"{PCI}/ata1/block/sda", "8:0", rotational=1)
    volume = root / "sys" / "devices" / "virtual" / "block" / "dm-0"
    link(root / "sys" / "dev" / "block" / "253:0", volume)
    link(volume / "slaves" / "nvme0n1p2", root / "sys" / "class" / "block" / "nvme0n1p2")
    mounted(root, "253:0 / ext4 /dev/mapper/data")
    assert kind_of(root) == "NVMe SSD"
    link(volume / "slaves" / "sda", root / "sys" / "class" / "block" / "sda")
    assert kind_of(root) == "HDD and NVMe SSD"


def test_a_machine_without_mounts_tells_no_kind(root: Path) -> None:
    assert kind_of(root) == ""


@pytest.fixture
def interface(root: Path) -> Callable[..., Path]:
    """Return a function that adds a network interface and returns its folder; one without a device is virtual."""

    def add(name: str, device: str = "", kind: int = 1, speed: str = "-1") -> Path:
        folder = root / "sys" / "class" / "net" / name
        put(folder / "type", str(kind))
        put(folder / "speed", speed)
        if device:
            link(folder / "device", root / "sys" / PCI / device)
        return folder

    return add


def test_the_network_has_the_kinds_and_speeds_of_the_links_and_the_number_of_cards(
    interface: Callable[..., Path],
) -> None:
    interface("eno1", "0000:3b:00.0", speed="10000")
    interface("eno2", "0000:3b:00.1", speed="10000")
    interface("eno3", "0000:3c:00.0", speed="2500")
    interface("eno4", "0000:3c:00.1")  # no cable
    interface("ib0", "0000:5e:00.0", kind=32, speed="200000")
    (interface("wlan0", "0000:5f:00.0") / "wireless").mkdir()
    assert machine.network() == {
        "host_networking": "Ethernet 2.5 Gbit/s, Ethernet 10 Gbit/s, InfiniBand 200 Gbit/s, Wi-Fi",
        "host_network_card_count": "4",
    }


def test_interfaces_that_are_no_cards_are_left_out(interface: Callable[..., Path], root: Path) -> None:
    for name in ("docker0", "veth12", "ifb0", "bond0"):
        interface(name, speed="10000")
    interface("lo", kind=772)
    interface("can0", "0000:70:00.0", kind=280)
    link(interface("eno1v0", "0000:3b:10.0") / "device" / "physfn", root / "sys" / PCI / "0000:3b:00.0")
    assert machine.network() == {"host_networking": "", "host_network_card_count": ""}


def test_a_card_that_does_not_tell_its_speed_is_named(interface: Callable[..., Path]) -> None:
    interface("eth0", "virtio2")
    assert machine.network() == {"host_networking": "Ethernet", "host_network_card_count": "1"}


@pytest.mark.parametrize(("chassis", "kind"), [("23", "datacenter"), ("28", "datacenter"), ("10", ""), ("1", "")])
def test_a_server_stands_in_a_data_centre_and_others_do_not_tell(root: Path, chassis: str, kind: str) -> None:
    assert machine.system_type() == {"system_type": ""}
    put(root / "sys" / "class" / "dmi" / "id" / "chassis_type", chassis)
    assert machine.system_type() == {"system_type": kind}


def test_sockets_cores_and_caches_are_counted(root: Path) -> None:
    cores = [
        f"physical id : {socket}\ncore id\t: {core}\nmodel name\t: Big Chip\ncpu MHz\t: 2400.5\n"
        for socket in (0, 1)
        for core in (0, 0, 1, 1)
    ]
    put(root / "proc" / "cpuinfo", "\n".join(cores))
    for name, text in (("level", "2"), ("type", "Unified"), ("size", "1024K")):
        put(root / "sys" / "devices" / "system" / "cpu" / "cpu0" / "cache" / "index0" / name, text)
    found = machine.processors()
    assert (found["host_processors_per_node"], found["host_processor_core_count"]) == ("2", "2")
    assert (found["host_processor_model_name"], found["host_processor_frequency"]) == ("Big Chip", "2400 MHz")
    assert found["host_processor_caches"] == "L2 unified 1024K"


def test_a_machine_without_gpus_has_no_field_of_them_to_fill() -> None:
    found = machine.accelerators(0)
    assert found.pop("accelerators_per_node") == "0" and set(found.values()) == {"N/A"}


@pytest.mark.parametrize(
    ("gpus", "links", "between"),
    [
        (8, "GPU 0: X\n\t Link 0: 26.5 GB/s\n\t Link 1: 26.5 GB/s", "NVLink, 2 links of 26.5 GB/s"),
        (2, "", "PCIe"),
        (1, "\t Link 0: 26.5 GB/s", "N/A"),
    ],
)
def test_gpus_are_described_by_the_first(monkeypatch: pytest.MonkeyPatch, gpus: int, links: str, between: str) -> None:
    class Properties:
        name, total_memory = "Fast GPU", 80 * 2**30

    said = {"clocks.max.sm": "1980 MHz", "pcie.link.gen.max": "5", "pcie.link.width.max": "16"}
    monkeypatch.setattr(machine.torch.cuda, "get_device_properties", lambda _: Properties)
    monkeypatch.setattr(
        machine, "said_by", lambda *words: links if "nvlink" in words else said[words[1].partition("=")[2]]
    )
    found = machine.accelerators(gpus)
    assert (found["accelerators_per_node"], found["accelerator_model_name"]) == (str(gpus), "Fast GPU")
    assert (found["accelerator_memory_capacity"], found["accelerator_frequency"]) == ("80 GiB", "1980 MHz")
    assert found["accelerator_host_interconnect"] == "PCIe generation 5, x16"
    assert found["accelerator_interconnect"] == between and found["accelerator_memory_configuration"] == ""


def test_a_command_that_fails_or_is_missing_says_nothing() -> None:
    assert machine.said_by("sh", "-c", 'echo "$ONE"', ONE="two") == "two"
    assert machine.said_by("sh", "-c", "echo one; exit 1") == machine.said_by("no-such-command") == ""
