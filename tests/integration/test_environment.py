"""Tests of script/environment.py and .sh: the choice of a Python, and the making of `.venv` by one script at a time."""

import errno
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
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


def wheel_bytes(folder: Path) -> bytes:
    """Return the content of a wheel with one empty module."""
    info = "benchmark_tiny_package-1.0.dist-info"
    path = folder / "made.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("benchmark_tiny_package.py", "")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path.read_bytes()


def executable(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Return a repository, with a space in its path, that needs one tiny package and has a script that uses it."""
    repo = tmp_path / "a repository"
    repo.mkdir()
    shutil.copytree(ROOT / "script", repo / "script", ignore=shutil.ignore_patterns("__pycache__"))
    content = wheel_bytes(tmp_path)
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
    executable(repo / "use.sh", f'set -eu\nROOT="{repo}"\n. "$ROOT/script/environment.sh"\n{RUN}')
    return repo


@pytest.fixture
def environment(repo: Path) -> ModuleType:
    """Return the repository's script/environment.py as a module."""
    spec = importlib.util.spec_from_file_location("environment_under_test", repo / "script" / "environment.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def variables(repo: Path) -> dict[str, str]:
    """Return a user's environment variables: PATH has only this Python, as python3; pip installs from a folder."""
    tools = repo.parent / "tools"
    if not tools.exists():
        executable(tools / "python3", f'exec "{sys.executable}" "$@"')
        for name in ("dirname", "sed", "sleep"):
            (tools / name).symlink_to(str(shutil.which(name)))
    wheels = str(repo.parent / "wheels")
    return {"PATH": str(tools), "HOME": str(repo.parent), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels}


def start(repo: Path, command: str = "exec ./use.sh") -> "subprocess.Popen[str]":
    """Start a command in the repository, in a new process group."""
    return subprocess.Popen(
        ["/bin/sh", "-c", command],
        env=variables(repo),
        cwd=repo,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores SIGINT
    )


def finish(process: "subprocess.Popen[str]") -> tuple[int, list[str], str]:
    """Wait for the process; return its exit status, the lines of its standard output, and its standard error."""
    output, errors = process.communicate(timeout=120)
    return process.returncode, output.splitlines(), errors


needs_venv = pytest.mark.skipif(importlib.util.find_spec("ensurepip") is None, reason="this Python has no ensurepip")


@needs_venv
def test_two_scripts_at_once_make_one_environment_and_a_third_is_silent(repo: Path) -> None:
    results = [finish(process) for process in [start(repo), start(repo)]]
    python = f"{repo}/.venv/bin/python"
    for status, output, _ in results:
        assert status == 0
        assert output[0] == python and output[1].startswith(f"{repo}/.venv/lib/")
        assert len(output) == 2, "an installer spoke on standard output"
    errors = sorted((errors for _, _, errors in results), key=len)
    assert errors[0].splitlines() == ["waiting for another script, which is making .venv"]
    begun, *why, made = errors[1].splitlines()
    assert "about 2 minutes and 6 GB" in begun and made.startswith("made .venv in ")
    assert len(why) < 2 and all("no NVIDIA driver here" in line for line in why)
    assert (repo / ".venv" / "bin" / "tiny-command").is_file() and not (repo / ".venv" / "downloads").exists()
    status, output, silence = finish(start(repo))
    assert (status, output[0], silence) == (0, python, "")


def when_read(fifo: Path, process: "subprocess.Popen[str]") -> int:
    """Wait until a process reads `fifo`; return an open descriptor, without which the reader would see the end."""
    while True:
        try:
            return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert error.errno == errno.ENXIO and process.poll() is None
            time.sleep(0.05)


@needs_venv
def test_a_killed_installation_ends_its_pip_and_is_made_again(repo: Path) -> None:
    wheel = repo.parent / "wheels" / WHEEL
    content = wheel.read_bytes()
    wheel.unlink()
    os.mkfifo(wheel)  # pip waits for its content without end
    killed = start(repo, "exec python3 -E script/environment.py")
    writer = when_read(wheel, killed)
    killed.kill()
    killed.communicate(timeout=20)  # returns only when pip has ended too, since pip holds standard error open
    os.close(writer)
    wheel.unlink()
    wheel.write_bytes(content)
    status, output, errors = finish(start(repo))
    assert (status, len(output)) == (0, 2)
    assert "making .venv" in errors


SLOW = """\
import real_environment as real
real.install = lambda guard: real.run(["sh", "-c", "sleep 60 & echo begun >&2; wait"], guard)
raise SystemExit(real.main())
"""


@pytest.mark.parametrize(
    ("kill", "number", "status"),
    [
        ("script", signal.SIGTERM, -signal.SIGTERM),
        ("script", signal.SIGHUP, -signal.SIGHUP),
        ("script", signal.SIGKILL, -signal.SIGKILL),
        ("group", signal.SIGTERM, -signal.SIGTERM),
        ("group", signal.SIGINT, -signal.SIGINT),  # to the script alone: dash waits for its command
        ("group", signal.SIGHUP, -signal.SIGHUP),
        ("environment.py", signal.SIGTERM, 128 + signal.SIGTERM),
        ("environment.py", signal.SIGINT, 128 + signal.SIGINT),
        ("environment.py", signal.SIGHUP, 128 + signal.SIGHUP),
    ],
)
def test_a_signal_ends_the_installer_with_all_its_processes(
    repo: Path, kill: str, number: signal.Signals, status: int
) -> None:
    variables(repo)
    (repo / "script" / "environment.py").rename(repo / "script" / "real_environment.py")
    (repo / "script" / "environment.py").write_text(SLOW)
    executable(repo.parent / "tools" / "python3", f'echo $$ >"{repo}/pid"; exec "{sys.executable}" "$@"')
    (repo.parent / "tools" / "sh").symlink_to("/bin/sh")
    process = start(repo)
    assert process.stderr is not None and process.stderr.readline() == "begun\n"
    if kill == "group":
        os.killpg(process.pid, number)
    else:
        os.kill(process.pid if kill == "script" else int((repo / "pid").read_text()), number)
    output, errors = process.communicate(timeout=20)  # returns when no process holds its standard error any more
    assert (process.returncode, output) == (status, "")
    assert errors == "stopped; run the same command to start the installation again\n"


@needs_venv
def test_a_failed_installation_is_one_line_after_pip_and_leaves_nothing_complete(repo: Path) -> None:
    (repo.parent / "wheels" / WHEEL).write_bytes(b"another file than the one in the lock")
    status, output, errors = finish(start(repo))
    assert (status, output) == (1, [])
    assert "THESE PACKAGES DO NOT MATCH THE HASHES" in errors
    assert errors.splitlines()[-1].startswith(f"error: {repo}/.venv was not made")
    assert "Traceback" not in errors
    assert not (repo / ".venv" / "complete").exists()


Calls = list[list[str]]


@pytest.fixture
def installed(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Replace the installers by one that only makes an interpreter; return the list of their command lines."""
    calls: Calls = []

    def run(command: list[str], _: object) -> None:
        calls.append(command)
        python = Path(environment.VENV_PYTHON)
        if not python.exists():
            python.parent.mkdir(parents=True)
            python.symlink_to(sys.executable)

    monkeypatch.setattr(environment, "run", run)
    return calls


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


def test_nothing_is_imported_to_look_for_packages() -> None:
    code = (
        "import sys; sys.path.insert(0, 'script'); import environment as e; e.missing_packages(); print(*sys.modules)"
    )
    modules = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"torch", "numpy", "pandas"} & set(modules.split())


def test_a_changed_lock_and_an_interpreter_that_is_gone_are_installed_anew(
    environment: ModuleType, installed: Calls
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
    environment: ModuleType, installed: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment.choose_python()
    environment.LOCK.write_text("changed")
    monkeypatch.setattr(environment.shutil, "rmtree", lambda _: sys.exit("killed"))
    with pytest.raises(SystemExit, match="killed"):
        environment.choose_python()
    assert not environment.is_complete() and not environment.MARKER.exists()


def test_the_marker_is_written_after_the_packages(
    environment: ModuleType, installed: Calls, monkeypatch: pytest.MonkeyPatch
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
    environment: ModuleType, installed: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
    installed: Calls,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    driver: bool,
) -> None:
    monkeypatch.setattr(environment, "has_nvidia_driver", lambda: driver)
    environment.choose_python()
    told = [line for line in capsys.readouterr().err.splitlines() if "4 of the 6 GB are torch's CUDA libraries" in line]
    assert len(told) == (not driver)


def test_the_driver_is_looked_for_by_its_command(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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
    for name in (WHEEL, "other_package-2.0-py3-none-any.whl", "pip-23.0-py3-none-any.whl"):
        (unpacked / name).touch()
    with environment.GUARD.open("a") as guard:
        environment.run(["sh", "-c", "sleep 1"], guard)
    lines = capfd.readouterr().err.splitlines()
    assert set(lines) == {".venv: 2 of 2 packages downloaded, 1 installed, 0.1 GB"}


def test_a_python_without_venv_is_said(
    environment: ModuleType, installed: Calls, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda _: None)
    assert environment.main() == 2
    assert "python3-venv" in capsys.readouterr().err
    assert installed == []


def test_a_folder_that_cannot_be_written_is_named(
    environment: ModuleType, installed: Calls, capsys: pytest.CaptureFixture[str]
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


def test_another_version_hands_over_to_one_that_fits(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
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


def test_an_environment_made_before_serves_under_any_active_version(
    environment: ModuleType, installed: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = environment.choose_python()
    monkeypatch.setattr(environment.sys, "version_info", (3, 13, 0))
    assert environment.choose_python() == python


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("prepare", "status", "error"),
    [
        (lambda tools: (tools / "python3").unlink(), 2, "error: no Python found: install Python 3.11 or 3.12"),
        (lambda tools: executable(tools / "python3", "exit 1"), 2, "error: no Python found"),
        (lambda tools: (tools / "python3").rename(tools / "python3.11"), 0, ""),
        (lambda tools: (tools / "python3").rename(tools / "python"), 0, ""),
    ],
    ids=["none", "too old", "python3.11 only", "python only"],
)
def test_the_shell_finds_a_python_by_its_usual_names(repo: Path, prepare: Change, status: int, error: str) -> None:
    environment = variables(repo)
    prepare(repo.parent / "tools")
    (repo / "script" / "environment.py").write_text("import sys; print(sys.executable)")
    script = executable(repo / "show.sh", 'ROOT=$(dirname "$0"); . "$ROOT/script/environment.sh"; echo "$PYTHON"')
    result = subprocess.run(["/bin/sh", str(script)], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == status
    assert result.stdout == ("" if status else f"{sys.executable}\n")
    assert result.stderr.startswith(error) and len(result.stderr.splitlines()) == bool(error)


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
