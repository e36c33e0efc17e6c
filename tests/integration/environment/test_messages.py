"""Tests of what a user is told: by script/environment.py, and by the package under a Python that cannot run it."""

import errno
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from speech_recognition.commands import ROOT

Write = Callable[[Path, str], Path]


def test_an_environment_of_the_user_is_left_alone(environment: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = environment.VENV / "work.txt"
    theirs.parent.mkdir()
    theirs.touch()
    assert environment.main() == 2
    output, errors = capsys.readouterr()
    assert output == "" and len(errors.splitlines()) == 1
    assert str(environment.VENV) in errors and "set PYTHON" in errors
    assert theirs.exists()


def test_too_little_disk_is_said_before_anything_is_made(
    environment: ModuleType,
    installed: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    usage = shutil.disk_usage("/")._replace(free=3_000_000_000)
    monkeypatch.setattr(environment.shutil, "disk_usage", lambda _: usage)
    assert environment.main() == 1
    assert capsys.readouterr().err == (
        f"error: {environment.ROOT}: 3.0 GB of disk are free, 9 GB are needed to make .venv\n"
    )
    assert installed == [] and not environment.VENV.exists()


def test_a_disk_that_fills_up_is_a_failure(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(environment, "install", fail)
    assert environment.main() == 1
    assert "No space left on device" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("driver", [False, True])
def test_a_machine_without_a_gpu_is_told_what_is_loaded_for_nothing(
    environment: ModuleType,
    installed: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    driver: bool,
) -> None:
    monkeypatch.setattr(environment, "has_nvidia_driver", lambda: driver)
    environment.choose_python()
    told = [line for line in capsys.readouterr().err.splitlines() if "4 of the 6 GB are torch's CUDA libraries" in line]
    assert len(told) == (not driver)


def test_the_driver_is_looked_for_by_its_command(
    environment: ModuleType, executable: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    executable(tmp_path / "nvidia-smi", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.has_nvidia_driver()


def test_an_installation_tells_how_far_it_is(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment, "LINE_SECONDS", 0.3)
    with environment.LOCK.open("a") as lock:
        lock.write("other-package==2.0 \\\nfor-windows==1.0 ; sys_platform == 'win32' \\\n")
    packages = environment.VENV / "lib" / "python3" / "site-packages"
    (packages / "benchmark_tiny_package-1.0.dist-info").mkdir(parents=True)
    (packages / "pip-23.0.dist-info").mkdir()  # not of the lock
    (packages / "tiny.so").write_bytes(bytes(10**8))
    unpacked = environment.DOWNLOADS / "pip-unpack-x"
    unpacked.mkdir(parents=True)
    for name in (
        "benchmark_tiny_package-1.0-py3-none-any.whl",
        "other_package-2.0-py3-none-any.whl",
        "pip-23.0-py3-none-any.whl",
    ):
        (unpacked / name).touch()
    with environment.GUARD.open("a") as guard:
        environment.run(["sh", "-c", "sleep 1"], guard)
    lines = capfd.readouterr().err.splitlines()
    assert set(lines) == {".venv: 2 of 2 packages downloaded, 1 installed, 0.1 GB"}


def test_a_python_without_venv_is_said(
    environment: ModuleType,
    installed: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda _: None)
    assert environment.main() == 2
    assert "python3-venv" in capsys.readouterr().err
    assert installed == []


def test_a_folder_that_cannot_be_written_is_named(
    environment: ModuleType, installed: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    environment.GUARD.mkdir()  # a folder cannot be opened for writing, not even by root
    assert environment.main() == 2
    output, errors = capsys.readouterr()
    assert output == "" and len(errors.splitlines()) == 1 and str(environment.GUARD) in errors


def test_stopping_an_installation_is_no_crash(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "run", stopped)
    assert environment.main() == 130
    assert capsys.readouterr().err.splitlines()[-1].startswith("stopped")


def test_no_fitting_version_is_one_line(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(environment.sys, "version_info", (3, 13, 0))
    assert environment.main() == 2
    output, errors = capsys.readouterr()
    assert output == "" and len(errors.splitlines()) == 1
    assert errors.startswith("error: Python 3.11 or 3.12 is needed") and "is 3.13.0" in errors
    assert not environment.VENV.exists() and not environment.GUARD.exists()


def main_says(repo: Path, setting: str) -> tuple[int, str]:
    """Run `python -m speech_recognition` in a Python without packages; return its status and standard error."""
    code = f"import runpy, sys; {setting}; sys.path.insert(0, {str(repo)!r}); "
    code += "runpy.run_module('speech_recognition', run_name='__main__')"
    result = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    return result.returncode, result.stderr


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 8, 0), (3, 13, 0)])
def test_a_python_of_another_version_is_told_so_not_to_install_packages(version: tuple[int, int, int]) -> None:
    status, errors = main_says(ROOT, f"sys.version_info = {version}")
    assert status == 2 and len(errors.splitlines()) == 1
    assert f"is Python {version[0]}.{version[1]}, must be 3.11 or 3.12: set PYTHON to one of these" in errors


def test_who_lacks_a_package_is_told_what_helps(repo: Path) -> None:
    shutil.copytree(ROOT / "speech_recognition", repo / "speech_recognition")
    venv = repo / ".venv"
    venv.mkdir()
    setting = f"sys.prefix = {str(venv)!r}"
    status, errors = main_says(repo, setting)
    assert status == 2 and len(errors.splitlines()) == 1
    assert errors.startswith(f"error: {sys.executable} lacks the package ")
    assert f"install {repo}/requirements.lock into it, or deactivate its environment and unset PYTHON" in errors
    (venv / "complete").touch()  # the mark of an environment that the scripts made
    status, errors = main_says(repo, setting)
    assert status == 2 and errors.startswith(f"error: {venv} lacks the package ")
    assert errors.endswith(f"remove {venv} and unset PYTHON, and the scripts make it again\n")
    assert main_says(repo, "pass")[1].startswith(f"error: {sys.executable} lacks"), "a Python beside .venv"
