"""Tests of script/environment.sh in processes: which Python it chooses, and that one script at a time makes `.venv`."""

import errno
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

WHEEL = "benchmark_tiny_package-1.0-py3-none-any.whl"


def replace_python(tools: Path, script: str) -> None:
    """Put a shell script in the place of the command python3."""
    (tools / "python3").write_text(f"#!/bin/sh\n{script}\n")
    (tools / "python3").chmod(0o755)


def variables(repo: Path) -> dict[str, str]:
    """Return a user's environment variables: PATH has only this Python, as python3; pip installs from a folder."""
    tools = repo.parent / "tools"
    if not tools.exists():
        tools.mkdir()
        replace_python(tools, f'exec "{sys.executable}" "$@"')
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
    replace_python(repo.parent / "tools", f'echo $$ >"{repo}/pid"; exec "{sys.executable}" "$@"')
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


Change = Callable[[Path], object]


@pytest.mark.parametrize(
    ("prepare", "status", "error"),
    [
        (lambda tools: (tools / "python3").unlink(), 2, "error: no Python found: install Python 3.11 or 3.12"),
        (lambda tools: replace_python(tools, "exit 1"), 2, "error: no Python found"),
        (lambda tools: (tools / "python3").rename(tools / "python3.11"), 0, ""),
        (lambda tools: (tools / "python3").rename(tools / "python"), 0, ""),
    ],
    ids=["none", "too old", "python3.11 only", "python only"],
)
def test_the_shell_finds_a_python_by_its_usual_names(repo: Path, prepare: Change, status: int, error: str) -> None:
    environment = variables(repo)
    prepare(repo.parent / "tools")
    (repo / "script" / "environment.py").write_text("import sys; print(sys.executable)")
    (repo / "show.sh").write_text('ROOT=$(dirname "$0"); . "$ROOT/script/environment.sh"; echo "$PYTHON"')
    result = subprocess.run(
        ["/bin/sh", str(repo / "show.sh")], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == status
    assert result.stdout == ("" if status else f"{sys.executable}\n")
    assert result.stderr.startswith(error) and len(result.stderr.splitlines()) == bool(error)
