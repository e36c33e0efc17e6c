"""Tests of script/environment.py: when `.venv` is made, and when the active Python or an earlier `.venv` is used."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from speech_recognition.commands import ROOT

PACKAGE = "benchmark-tiny-package"

Write = Callable[[Path, str], Path]


def test_the_active_python_is_used_if_it_has_the_locked_packages(environment: ModuleType, repo: Path) -> None:
    assert environment.missing_packages() == [PACKAGE]
    shutil.copyfile(ROOT / "pyproject.toml", repo / "pyproject.toml")
    lock = (ROOT / "requirements.lock").read_text()
    for name in ("torch", "hypothesis"):  # a package of a different version counts as missing
        (repo / "requirements.lock").write_text(lock.replace(f"\n{name}==", f"\n{name}==0."))
        assert name in environment.missing_packages()
    (repo / "requirements.lock").write_text(lock)
    if not environment.missing_packages():  # true in the .venv that run_tests.sh makes
        assert environment.choose_python() == sys.executable


def test_a_build_for_the_cpu_is_the_locked_version(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1.0+cpu")
    assert environment.missing_packages() == []
    monkeypatch.setattr("importlib.metadata.version", lambda _: "1.0.1")
    assert environment.missing_packages() == [PACKAGE]


def test_a_package_that_is_not_for_this_processor_is_not_missed(
    environment: ModuleType, repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (repo / "pyproject.toml").read_text()
    (repo / "pyproject.toml").write_text(text.replace(PACKAGE, f"{PACKAGE} ; platform_machine != 'aarch64'"))
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert environment.missing_packages() == [PACKAGE]
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    assert environment.missing_packages() == []


def test_nothing_is_imported_to_look_for_packages() -> None:
    code = (
        "import sys; sys.path.insert(0, 'script'); import environment as e; e.missing_packages(); print(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"torch", "numpy", "pandas"} & set(modules.split())


def test_a_changed_lock_and_an_interpreter_that_is_gone_are_installed_anew(
    environment: ModuleType, installed: list[list[str]]
) -> None:
    python = environment.choose_python()
    first = list(installed)
    assert [call[2:4] for call in first] == [["-m", "venv"], ["-m", "pip"], ["-m", "pip"]]
    assert "--require-hashes" in first[1] and str(environment.LOCK) in first[1]
    assert first[2][-4:] == ["--no-deps", "--no-build-isolation", "--editable", str(environment.ROOT)]
    assert environment.choose_python() == python
    assert installed == first

    stale = environment.VENV / "lib" / "stale.py"
    stale.parent.mkdir()
    stale.touch()
    with environment.LOCK.open("a") as lock:
        lock.write("# changed\n")
    assert environment.choose_python() == python
    assert installed == first * 2
    assert not stale.exists()

    environment.VENV_PYTHON.unlink()
    environment.VENV_PYTHON.symlink_to("/nowhere/python3.11")
    assert environment.choose_python() == python
    assert installed == first * 3


def test_a_removal_that_is_killed_leaves_nothing_complete(
    environment: ModuleType, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.choose_python()
    environment.LOCK.write_text("changed")
    monkeypatch.setattr(environment.shutil, "rmtree", lambda _: sys.exit("killed"))
    with pytest.raises(SystemExit, match="killed"):
        environment.choose_python()
    assert not environment.is_complete() and not environment.MARKER.exists()


def test_the_marker_is_written_after_the_packages(
    environment: ModuleType, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = environment.run

    def killed(command: list[str], guard: object) -> None:
        if "pip" in command:
            sys.exit("killed")
        make(command, guard)

    monkeypatch.setattr(environment, "run", killed)
    with pytest.raises(SystemExit, match="killed"):
        environment.choose_python()
    assert environment.VENV_PYTHON.exists() and not environment.is_complete()
    monkeypatch.setattr(environment, "run", make)
    environment.choose_python()
    assert environment.is_complete()


def test_another_version_hands_over_to_one_that_fits(
    environment: ModuleType, executable: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bin_folder = tmp_path / "bin"
    # A version manager's stub, which is a command but not a Python.
    executable(bin_folder / "python3.12", "echo 'python3.12: not installed' >&2; exit 127")
    executable(bin_folder / "python3.11", "echo 3 11")
    monkeypatch.setenv("PATH", str(bin_folder))
    monkeypatch.setattr(environment.sys, "version_info", (3, 9, 2))
    started: list[tuple[str, list[str]]] = []

    def execvp(command: str, arguments: list[str]) -> None:
        started.append((command, arguments))
        raise SystemExit

    monkeypatch.setattr(environment.os, "execvp", execvp)
    with pytest.raises(SystemExit):
        environment.main()
    assert started == [("python3.11", ["python3.11", "-E", environment.__file__])]


def test_an_environment_made_before_serves_under_any_active_version(
    environment: ModuleType, installed: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    python = environment.choose_python()
    monkeypatch.setattr(environment.sys, "version_info", (3, 13, 0))
    assert environment.choose_python() == python
