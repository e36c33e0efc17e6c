"""A test that follows docker/Dockerfile step by step in a clean Debian, because there is no container engine here.

debootstrap makes the Debian release of the base image; its own Python 3.11, in a virtual environment, stands in for the
base image's. Every RUN and COPY then happens in it, and the health check runs as the image's user.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT

PYTHON = "/opt/python"
NEEDED_BYTES = 9e9
PASSED_ON = re.compile(r"PIP_(?!FIND_LINKS)|SSL_CERT|https?_proxy$|no_proxy$", re.IGNORECASE)

# In a mount namespace of its own (`unshare`), so that /proc and /dev are gone when the command ends.
INSIDE = """
mount --bind /proc "$1/proc" && mount --rbind /dev "$1/dev" && exec chroot --userspec="$2:$2" "$1" sh -c "$3"
"""


@dataclass
class Image:
    """Root folder in which a Dockerfile is carried out, and what its instructions have set so far."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    folder: str = "/"
    user: str = "0"

    def run(self, command: str) -> str:
        """Run a shell command inside the root, as the image's user, and return its output."""
        inside = {"PATH": f"{PYTHON}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/tmp", "USER": "benchmark"}
        passed = {name: value for name, value in os.environ.items() if PASSED_ON.match(name)}
        result = subprocess.run(
            ["unshare", "--mount", "sh", "-c", INSIDE, "sh", self.root, self.user, f"cd {self.folder} && {command}"],
            env=passed | inside | self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{command}\n{result.stdout[-3000:]}"
        return result.stdout

    def copy(self, options: list[str], source: str, target: str) -> None:
        """Copy a file or folder of the repository, without what .dockerignore leaves out."""
        place = self.root / self.folder[1:] / target
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=ignored, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / source, place)
        for option in options:
            name, _, owner = option.partition("=")
            assert name == "--chown"
            self.run(f"chown -R {owner} {target}")

    def follow(self, instruction: str, rest: str) -> None:
        """Carry out one instruction of a Dockerfile."""
        words = shlex.split(rest)
        match instruction:
            case "RUN":
                self.run(rest)
            case "COPY":
                self.copy(words[:-2], *words[-2:])
            case "WORKDIR":
                self.folder = rest
                (self.root / rest[1:]).mkdir(parents=True, exist_ok=True)
            case "ENV":
                self.variables |= dict(word.split("=", 1) for word in words)
            case "USER":
                self.user = rest
            case "CMD":
                self.run(f"command -v {json.loads(rest)[0]}")
            case _:
                assert instruction in ("ARG", "FROM"), f"{instruction}: not known to this test"


def ignored(folder: str, names: list[str]) -> set[str]:
    """Return the names in `folder` that .dockerignore leaves out."""
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]

    def matches(name: str, rule: str) -> bool:
        path = Path(folder, name).relative_to(ROOT).as_posix()
        return fnmatch(name, rule[3:]) if rule.startswith("**/") else "/" not in path and fnmatch(path, rule)

    return {name for name in names if any(matches(name, rule) for rule in rules)}


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the Dockerfile, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "docker" / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = [" ".join(line.split()) for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


@pytest.fixture
def clean_debian(tmp_path: Path) -> Iterator[Path]:
    """Yield the root of a new Debian with a Python in PYTHON. It is removed afterwards: it takes 7 GB by then."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("apt-get", "dpkg", "unshare", "chroot"))):
        pytest.skip("a clean root needs Debian and the rights of root")
    if shutil.disk_usage(tmp_path).free < NEEDED_BYTES:
        pytest.skip(f"a clean root needs {NEEDED_BYTES / 1e9:.0f} GB of disk")
    base = next(rest for name, rest in instructions() if name == "ARG" and rest.startswith("BASE=")).partition("@")[0]
    root, tools = tmp_path / "root", tmp_path / "tools"
    tools.mkdir()
    get = "apt-get download --quiet debootstrap"
    if subprocess.run(
        f"{get} || {{ apt-get update --quiet && {get}; }}", shell=True, cwd=tools, check=False
    ).returncode:
        pytest.skip("debootstrap cannot be downloaded")
    (package,) = tools.glob("*.deb")
    subprocess.run(["dpkg", "--extract", package, tools], check=True)
    asked = ["apt-get", "indextargets", "--format", "$(SITE)"]
    mirror = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[0]
    options = ["--variant=minbase", "--include=python3,python3-venv", base.rpartition("-")[2]]
    try:
        subprocess.run(
            ["sh", tools / "usr" / "sbin" / "debootstrap", *options, root, mirror],
            env=os.environ | {"DEBOOTSTRAP_DIR": str(tools / "usr" / "share" / "debootstrap")},
            check=True,
        )
        for name in ("/etc/resolv.conf", "/etc/pip.conf", "/etc/ssl/certs/ca-certificates.crt"):
            if Path(name).exists():  # the network of this machine
                shutil.copy(name, root / name[1:])
        Image(root).run(f"python3 -m venv {PYTHON}")
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.image
def test_every_step_of_the_dockerfile_works_in_a_clean_debian(clean_debian: Path) -> None:
    image = Image(clean_debian)
    for instruction, rest in instructions():
        image.follow(instruction, rest)
    assert image.user == "1000"
    assert not (clean_debian / "benchmark" / ".git").exists()
    assert "healthy" in image.run("PYTHONPATH=/benchmark python docker/health.py")
    # The image's own Python has the locked packages, so that the scripts make no .venv.
    assert "usage: sh run_and_time.sh" in image.run("sh run_and_time.sh --help")
    assert image.run("python script/environment.py").splitlines()[-1] == f"{PYTHON}/bin/python"
    image.run('touch results.txt && test "$(stat -c %u results.txt)" = 1000')
