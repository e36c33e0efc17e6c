"""Print the path of the Python that the scripts use; make `.venv` from requirements.lock where no other will do.

    python3 script/environment.py

In this order: the Python that runs this file, if it is 3.11 or 3.12 and has the locked packages;
`.venv` in the repository, if it was made from today's lock; else `.venv` is made, which takes minutes.
Standard output is the path and nothing else: what a caller prints afterwards is a log.
Exit status: 1 if an installation failed, 2 if this machine lacks something, 128 + N if signal N stopped it.

Only the standard library, and Python 3.8's syntax: this has to run before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Sequence

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
MARKER = VENV / "complete"
"""Written last: which lock, and which Python's folder its packages lie in."""
GUARD = ROOT / ".venv.lock"
"""Held while `.venv` is made; that it is there says that `.venv` is ours to replace."""

SUPPORTED = ((3, 11), (3, 12))
NEEDED_BYTES = 9 * 10**9
"""Free disk asked for: 6 GB stay in `.venv`, the rest is for pip's downloads (measured, Linux x86-64)."""


class EnvironmentFault(Exception):
    """No Python to run with; `status` is the exit status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Stopped(Exception):
    """A signal came, or the shell that called us is gone; `status` is the exit status."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


received: list[int] = []
"""Signals that came during an installation. `pause` acts on them: not between an installer's start and its watch."""


def main() -> int:
    """Print the interpreter's path, or one line on standard error."""
    try:
        print(choose_python())
    except EnvironmentFault as fault:
        print(f"error: {fault}", file=sys.stderr)
        return fault.status
    except (KeyboardInterrupt, Stopped) as stopped:
        say("stopped; the next call starts the installation again")
        return stopped.status if isinstance(stopped, Stopped) else 130
    return 0


def choose_python() -> str:
    """Path of the Python to use, made ready if need be."""
    supported = sys.version_info[:2] in SUPPORTED
    if supported and not missing_packages():
        return sys.executable
    if not is_complete():
        if not supported:
            run_under_supported_python()
        make_venv()
    return str(VENV_PYTHON)


def missing_packages() -> list[str]:
    """Direct dependencies, extras included, that this Python lacks in their locked version.

    Read from the installed packages' metadata: importing torch would take seconds.
    """
    from importlib.metadata import PackageNotFoundError, version

    import tomllib  # new in 3.11, and so is what calls this

    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^\s;]+)", LOCK.read_text(encoding="utf-8"), re.MULTILINE))
    missing = []
    for requirement in sum(extras, start=project["dependencies"]):
        name = re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")
        try:
            installed = version(name).partition("+")[0]  # a build for the CPU is 2.11.0+cpu
        except PackageNotFoundError:
            installed = None
        if installed is None or installed != locked.get(name):
            missing.append(name)
    return missing


def is_complete() -> bool:
    """Whether `.venv` was made whole from today's lock and its Python still runs."""
    try:
        return MARKER.read_text(encoding="utf-8") == marker_text(python_version(str(VENV_PYTHON)))
    except OSError:
        return False


def marker_text(version: tuple[int, ...] | None) -> str:
    """What MARKER holds for a `.venv` of this Python version."""
    return f"{hashlib.sha256(LOCK.read_bytes()).hexdigest()} {version}\n"


def python_version(command: str) -> tuple[int, ...] | None:
    """(major, minor) of a Python command; None if it does not run (a version manager's stub, a dangling link)."""
    question = [command, "-E", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(question, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(int(number) for number in answer.split())


def run_under_supported_python() -> None:
    """Start this file again under a python3.12 or python3.11 on PATH; returns never."""
    for command in ("python3.12", "python3.11"):
        if python_version(command) in SUPPORTED:
            os.execvp(command, [command, "-E", __file__])
    found = ".".join(str(number) for number in sys.version_info[:3])
    raise EnvironmentFault(
        2, f"Python 3.11 or 3.12 is needed, and {sys.executable} is {found}: install one, or set PYTHON to it"
    )


def make_venv() -> None:
    """Make `.venv` with this Python, unless another script does so meanwhile.

    A foreign `.venv` is left alone. An unfinished or outdated one of ours is replaced.
    """
    if VENV.exists() and not GUARD.exists():
        raise EnvironmentFault(
            2, f"{VENV} was not made by these scripts: remove it, or set PYTHON to a Python that has requirements.lock"
        )
    try:
        with GUARD.open("a", encoding="utf-8") as guard:
            lock(guard)
            if not is_complete():
                remove_venv()
                check_machine()
                install(guard)
    except OSError as error:
        raise EnvironmentFault(2, f"{VENV} cannot be made: {error}") from None


def lock(guard: IO[str]) -> None:
    """Wait until no other process makes `.venv`. The lock ends with the last process that holds the file open."""
    said = False
    while True:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not said:
                say("waiting for another script, which is making .venv")
            said = True
            pause()


def remove_venv() -> None:
    """Remove what is there of `.venv`, the marker first: killed half way, it is not taken for whole."""
    if VENV.exists():
        if MARKER.exists():
            MARKER.unlink()
        shutil.rmtree(VENV)


def check_machine() -> None:
    """Refuse to begin what cannot end well."""
    if importlib.util.find_spec("ensurepip") is None:
        raise EnvironmentFault(
            2, f"{sys.executable} cannot make virtual environments: install its venv package (Debian: python3-venv)"
        )
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise EnvironmentFault(
            2, f"{ROOT}: {free / 1e9:.1f} GB of disk are free, {NEEDED_BYTES / 1e9:.0f} GB are needed to make .venv"
        )


def install(guard: IO[str]) -> None:
    """Make `.venv`, install the lock into it and write the marker."""
    start, version = time.monotonic(), sys.version_info[:2]
    say(f"making .venv with Python {version[0]}.{version[1]}: about 2 minutes and 6 GB of disk, once")
    run([sys.executable, "-I", "-m", "venv", str(VENV)], guard)
    pip = [str(VENV_PYTHON), "-I", "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--require-hashes", "-r", str(LOCK)], guard)
    MARKER.write_text(marker_text(version), encoding="utf-8")
    say(f"made .venv in {time.monotonic() - start:.0f} seconds")


def run(command: Sequence[str], guard: IO[str]) -> None:
    """Run an installer, its words on standard error. It holds the lock as well, should this process be killed.

    It has a session of its own, so that it can be ended with all that it has started.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda number, _: received.append(number))
    with subprocess.Popen(
        command, stdout=sys.stderr, pass_fds=[guard.fileno()], start_new_session=True, preexec_fn=end_with_parent
    ) as installer:
        try:
            while installer.poll() is None:
                pause()
        except Stopped:
            end(installer)
            raise
    if installer.returncode != 0:
        raise EnvironmentFault(1, f"{VENV} was not made: see the lines above; the next call starts again")


def pause() -> None:
    """Wait a moment. Raise Stopped after a signal, or if the shell that called us is gone: no one reads our answer."""
    answer = select.poll()
    answer.register(1, 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in answer.poll(100)):
        received.append(signal.SIGPIPE)
    if received:
        raise Stopped(received[0])


def end(installer: subprocess.Popen[bytes]) -> None:
    """End an installer and what it has started. Interrupted, pip removes its downloads, in five seconds at most."""
    try:
        os.killpg(installer.pid, signal.SIGINT)
        installer.wait(5)
        os.killpg(installer.pid, signal.SIGKILL)
    except subprocess.TimeoutExpired:
        os.killpg(installer.pid, signal.SIGKILL)
    except ProcessLookupError:  # all have ended
        pass


def end_with_parent() -> None:
    """In the installer: have the system interrupt it when this process is killed, and let it be interrupted."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes  # a Python that only hands over may lack it

        ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG


def say(message: str) -> None:
    """A note for the user; standard output is the answer."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
