"""A repository that needs one tiny package, for the tests of script/environment.py and .sh."""

import hashlib
import importlib.util
import shutil
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from speech_recognition.commands import ROOT

PACKAGE = "benchmark-tiny-package"


WHEEL = "benchmark_tiny_package-1.0-py3-none-any.whl"


RUN = 'printf "%s\\n" "$PYTHON"; exec "$PYTHON" -c "import benchmark_tiny_package as p; print(p.__file__)"'


BACKEND = """\
import zipfile

NAME = "tiny_project-1.0-py3-none-any.whl"

def build_editable(folder, settings=None, metadata=None):
    with zipfile.ZipFile(f"{folder}/{NAME}", "w") as wheel:
        info = "tiny_project-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: tiny-project\\nVersion: 1.0\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\\ntiny-command = os:getcwd\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return NAME
"""
"""Build backend of the repository's own project that needs no setuptools."""


def _wheel_bytes(folder: Path) -> bytes:
    """Return the content of a wheel with one empty module."""
    info = "benchmark_tiny_package-1.0.dist-info"
    path = folder / "made.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("benchmark_tiny_package.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path.read_bytes()


def _executable(path: Path, script: str) -> Path:
    """Write a shell script that can be called as a command; return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def executable() -> Callable[[Path, str], Path]:
    """Return a function that writes a shell script as a command."""
    return _executable


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Return a repository, with a space in its path, that needs one tiny package and has a script that uses it."""
    repo = tmp_path / "a repository"
    repo.mkdir()
    shutil.copytree(ROOT / "script", repo / "script", ignore=shutil.ignore_patterns("__pycache__"))
    content = _wheel_bytes(tmp_path)
    (repo / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "tiny-project"\nversion = "1.0"\n'
        f'dependencies = ["{PACKAGE}"]\noptional-dependencies = {{ mini = [] }}\n'
    )
    (repo / "backend.py").write_text(BACKEND)
    (repo / "requirements.lock").write_text(
        f"{PACKAGE}==1.0 \\\n    --hash=sha256:{hashlib.sha256(content).hexdigest()}\n"
    )
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    (wheels / WHEEL).write_bytes(content)
    _executable(repo / "use.sh", f'set -eu\nROOT="{repo}"\n. "$ROOT/script/environment.sh"\n{RUN}')
    return repo


@pytest.fixture
def environment(repo: Path) -> ModuleType:
    """Return the repository's script/environment.py as a module."""
    spec = importlib.util.spec_from_file_location("environment_under_test", repo / "script" / "environment.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def installed(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace the installers by one that only makes an interpreter; return the list of their command lines."""
    calls: list[list[str]] = []

    def run(command: list[str], _: object) -> None:
        calls.append(command)
        python = Path(environment.VENV_PYTHON)
        if not python.exists():
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)

    monkeypatch.setattr(environment, "run", run)
    return calls
