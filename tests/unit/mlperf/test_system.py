"""Tests of the description of a system and of the source code's state; test_machine.py tests what is read."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from mlperf_logging.system_desc_checker import system_desc_checker

from speech_recognition.errors import InputError
from speech_recognition.mlperf import system
from speech_recognition.mlperf.system import REQUIRED, blanks, completed, describe, software_notes

SUBMISSION = {"org": "us", "platform": "box", "division": "closed", "status": "onprem"}


def test_this_machine_passes_the_official_checker(tmp_path: Path) -> None:
    found = describe(SUBMISSION, nodes=1, gpus=0, storage=tmp_path)
    path = tmp_path / "box.json"
    path.write_text(json.dumps(found))
    assert system_desc_checker.check_system_desc(str(path), "training", "6.1.0")[:2] == (True, "box")
    assert all(isinstance(value, str) for value in found.values())
    for name in ("host_processor_model_name", "host_memory_capacity", "host_storage_capacity", "operating_system"):
        assert found[name], name
    assert found["framework"].startswith("PyTorch 2.") and found["status"] == "Available on-premise"
    assert int(found["host_processors_per_node"]) >= 1 <= int(found["host_processor_core_count"])


def test_every_required_field_is_there_and_the_blank_ones_are_named(tmp_path: Path) -> None:
    found = describe(SUBMISSION, nodes=1, gpus=0, storage=tmp_path)
    assert set(REQUIRED) <= set(found)
    full = found | {name: "something" for name in blanks(found)}
    assert {"cooling", "host_memory_configuration"} <= set(blanks(found)) and blanks(full) == []
    del full["framework"]
    assert blanks(full | {"cooling": " "}) == ["cooling", "framework"]


def test_several_machines_have_a_topology_that_only_a_person_knows(tmp_path: Path) -> None:
    one, four = (describe(SUBMISSION, nodes=nodes, gpus=0, storage=tmp_path) for nodes in (1, 4))
    assert (one["number_of_nodes"], one["host_networking_topology"]) == ("1", "N/A")
    assert (four["number_of_nodes"], four["host_networking_topology"]) == ("4", "")


def test_a_file_completes_it(tmp_path: Path) -> None:
    completion = tmp_path / "more.json"
    completion.write_text(json.dumps({"cooling": "air", "host_storage_type": "NVMe", "system_name": "box"}))
    found = completed(describe(SUBMISSION, nodes=4, gpus=0, storage=tmp_path), completion)
    assert (found["cooling"], found["host_storage_type"], found["number_of_nodes"]) == ("air", "NVMe", "4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "must be an object whose values are all strings"),
        ('{"number_of_nodes": 2}', "must be an object whose values are all strings"),
    ],
)
def test_a_file_that_will_not_do_is_named(tmp_path: Path, content: str, message: str) -> None:
    completion = tmp_path / "more.json"
    completion.write_text(content)
    with pytest.raises(InputError, match=message) as refusal:
        completed(describe(SUBMISSION, nodes=1, gpus=0, storage=tmp_path), completion)
    assert str(completion) in str(refusal.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json"):
        completed(describe(SUBMISSION, nodes=1, gpus=0, storage=tmp_path), tmp_path / "gone.json")


def git(repository: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    identity = ("-c", "user.name=us", "-c", "user.email=us@example.com", "-c", "core.hooksPath=/dev/null")
    return subprocess.run(
        ["git", "-C", str(repository), *identity, *command], capture_output=True, text=True, check=False
    )


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository of a different user with one commit of two files."""
    folder = tmp_path / "a repository"
    (folder / "part").mkdir(parents=True)
    (folder / "file").write_text("one\r\n")
    (folder / "part" / "other é").write_text("two\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    assert git(folder, "commit", "--quiet", "-m", "first").returncode == 0
    monkeypatch.setattr(system, "REPOSITORY", folder)
    return folder


@pytest.fixture
def not_ours(repository: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make git distrust the repository, and return its commit."""
    commit = git(repository, "rev-parse", "HEAD").stdout.strip()
    if os.geteuid() == 0:
        for path in (repository, *repository.rglob("*")):
            os.chown(path, 12345, 12345)
    else:
        monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    assert "dubious ownership" in git(repository, "describe", "--always").stderr
    return commit


def test_the_commit_of_another_users_checkout_is_known(repository: Path, not_ours: str) -> None:
    assert software_notes() == f"benchmark at commit {not_ours}"
    os.utime(repository / "file", (1, 1))
    assert software_notes() == f"benchmark at commit {not_ours}"


@pytest.mark.parametrize(
    "change",
    [
        lambda repository: (repository / "file").write_text("one\n"),
        lambda repository: (repository / "part" / "other é").unlink(),
        lambda repository: [(repository / "new").touch(), git(repository, "add", "new")],
        lambda repository: [(repository / "file").unlink(), os.mkfifo(repository / "file")],
    ],
    ids=["changed", "removed", "added", "FIFO"],
)
def test_a_commit_with_changes_is_dirty(repository: Path, change: Callable[[Path], object]) -> None:
    (repository / "untracked").touch()
    commit = git(repository, "rev-parse", "HEAD").stdout.strip()
    assert software_notes() == f"benchmark at commit {commit}"
    change(repository)
    assert software_notes() == f"benchmark at commit {commit}-dirty"


def test_no_repository_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "REPOSITORY", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert software_notes() == "benchmark at commit unknown"


def test_another_users_checkout_runs_nothing(repository: Path, not_ours: str, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\ntouch "{ran}"\ncat\n')
    program.chmod(0o755)
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "reference-transaction", "fsmonitor-watchman"):
        (hooks / name).unlink(missing_ok=True)
        (hooks / name).symlink_to(program)
    names = ["[core]", *(f"{name} = {program}" for name in ("fsmonitor", "sshCommand", "pager", "editor", "askPass"))]
    filters = ['[filter "x"]', *(f"{name} = {program}" for name in ("clean", "smudge", "process"))]
    remote = [
        '[remote "origin"]',
        "promisor = true",
        "url = ssh://mirror.invalid/x",
        "[extensions]",
        "partialClone = origin",
    ]
    with (repository / ".git" / "config").open("a") as file:
        file.write("\n".join([*names, *filters, *remote, '[diff "x"]', f"command = {program}", ""]))
    (repository / ".git" / "info" / "attributes").write_text("* filter=x diff=x\n")
    for path in ("file", "part/other é"):  # makes git compare the content of the files
        os.utime(repository / path, (1, 1))
    assert software_notes() == f"benchmark at commit {not_ours}"
    tree = git(repository, "-c", f"safe.directory={repository}", "rev-parse", "HEAD^{tree}").stdout.strip()
    (repository / ".git" / "objects" / tree[:2] / tree[2:]).unlink()  # git would fetch it
    assert software_notes() == f"benchmark at commit {not_ours}-dirty"
    assert not ran.exists()
