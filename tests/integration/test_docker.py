"""Tests of docker/ without a container engine: the build's steps, and the arguments that `docker` gets."""

import itertools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import params
from speech_recognition.commands import ROOT

DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
MOUNTED = sorted({make().data.dataset for make in params.PRESETS.values()} | {"results"})


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Return a copy of docker/ in a folder with a space, beside a `docker` that only records its arguments."""
    repo = tmp_path / "a repository"
    shutil.copytree(ROOT / "docker", repo / "docker")
    tool(tmp_path, "docker", f"printf '%s\\n' \"$@\" >'{tmp_path}/arguments'; exit ${{STATUS:-0}}")
    tool(tmp_path, "nvidia-smi", "exit 9")
    return repo


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def call(repo: Path, name: str, *arguments: str, **variables: str) -> tuple[int, list[str]]:
    """Run a script of docker/; return its exit status and the arguments that `docker` got."""
    path = f"{repo.parent / 'bin'}:/usr/bin:/bin"
    script = str(repo / "docker" / name)
    result = subprocess.run(
        ["sh", script, *arguments], cwd="/", env={"PATH": path} | variables, stdin=subprocess.DEVNULL, check=False
    )
    return result.returncode, (repo.parent / "arguments").read_text().splitlines()


def after(arguments: list[str], option: str) -> list[str]:
    """Return the argument after each occurrence of `option`."""
    return [value for name, value in itertools.pairwise(arguments) if name == option]


def test_the_image_is_built_from_the_repository(repo: Path) -> None:
    status, arguments = call(repo, "build-docker.sh", "--no-cache")
    assert status == 0
    dockerfile = f"{repo}/docker/Dockerfile"
    image = "speech-recognition-benchmark"
    assert arguments == ["build", "--tag", image, "--file", dockerfile, "--no-cache", str(repo)]
    assert call(repo, "build-docker.sh", IMAGE="mine:2", STATUS="7") == (
        7,
        ["build", "--tag", "mine:2", "--file", dockerfile, str(repo)],
    )


@pytest.mark.parametrize(
    ("second", "first"), [("build_image.sh", "build-docker.sh"), ("run_container.sh", "run-dev.sh")]
)
def test_the_second_names_do_the_same(repo: Path, second: str, first: str) -> None:
    assert call(repo, second, "one", "a word", STATUS="5") == call(repo, first, "one", "a word", STATUS="5")


def test_the_container_has_the_users_ids_and_the_repository(repo: Path) -> None:
    status, arguments = call(repo, "run-dev.sh")
    assert status == 0 and arguments[0] == "run"
    assert after(arguments, "--user") == [f"{os.getuid()}:{os.getgid()}"]
    assert after(arguments, "--volume") == [f"{repo}:{repo}"]  # MOUNTED's folders are inside it
    assert after(arguments, "--workdir") == [str(repo)]
    assert "HOME=/tmp" in after(arguments, "--env") and "--ipc=host" in arguments
    assert "--gpus" not in arguments and "--tty" not in arguments
    assert arguments[-2:] == ["speech-recognition-benchmark", "bash"]


def test_gpus_are_asked_for_where_the_driver_answers(repo: Path) -> None:
    tool(repo.parent, "nvidia-smi", "echo 'GPU 0'")
    status, arguments = call(repo, "run-dev.sh")
    assert (status, after(arguments, "--gpus")) == (0, ["all"])


@pytest.mark.parametrize("name", MOUNTED)
def test_a_folder_that_is_a_link_is_mounted_where_it_points(repo: Path, name: str) -> None:
    target = repo.parent / "a large disk" / name
    target.mkdir(parents=True)
    (repo / name).symlink_to(f"../a large disk/{name}")
    _, arguments = call(repo, "run-dev.sh")
    assert sorted(after(arguments, "--volume")) == sorted([f"{repo}:{repo}", f"{target}:{target}"])


def test_a_command_runs_instead_of_the_shell_and_its_status_comes_back(repo: Path) -> None:
    command = ["sh", "run_and_time.sh", "mini", "--output-dir", "my results"]
    status, arguments = call(repo, "run-dev.sh", *command, STATUS="3", IMAGE="mine")
    assert status == 3
    assert arguments[-6:] == ["mine", *command]


def test_the_build_installs_the_lock_and_only_that() -> None:
    installs = [line for line in DOCKERFILE.splitlines() if re.search(r"\bpip\b.* install", line)]
    assert installs == ["RUN pip install --no-cache-dir --require-hashes -r requirements.lock"]
    lines = DOCKERFILE.splitlines()
    assert lines.index("COPY requirements.lock ./") < lines.index(installs[0])
    assert "apt-get" not in DOCKERFILE and "://" not in DOCKERFILE


def test_the_base_image_is_a_supported_python_pinned_by_its_digest() -> None:
    (base,) = re.findall(r"^ARG BASE=(\S+)\nFROM \$BASE$", DOCKERFILE, re.MULTILINE)
    assert re.fullmatch(r"python:3\.1[12]-slim-\w+@sha256:[0-9a-f]{64}", base)


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["1000"]
    assert "useradd --uid 1000" in DOCKERFILE


def test_what_git_ignores_stays_out_of_the_image() -> None:
    def rules(name: str) -> set[str]:
        lines = (ROOT / name).read_text().splitlines()
        return {line.strip("/*") for line in lines if line and not line.startswith("#")}

    assert rules(".gitignore") <= rules(".dockerignore")
    assert ".git" in rules(".dockerignore")


def test_compose_builds_this_image_and_runs_what_is_there() -> None:
    compose = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())
    services = compose["services"]
    for service in services.values():
        assert service["image"] == "${IMAGE:-speech-recognition-benchmark}"
        assert (ROOT / "docker" / service["build"]["context"]).resolve() == ROOT
        assert (ROOT / service["build"]["dockerfile"]).is_file()
        assert (ROOT / service["command"][1]).is_file()
        assert service.get("volumes", ["..:/benchmark"]) == ["..:/benchmark"]
    assert all(services[name]["depends_on"].keys() == {"health"} for name in ("mini", "gpu"))
    assert "WORKDIR /benchmark" in DOCKERFILE.splitlines()


def test_the_health_check_computes_and_says_so() -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "docker" / "health.py"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0 and result.stdout.startswith("healthy: two training steps")
