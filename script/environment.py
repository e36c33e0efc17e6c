"""Print the path of the Python that the scripts use; make `.venv` from requirements.lock if there is none to use.

    python3 script/environment.py

The first of these that applies: the Python that runs this file, if it is 3.11 or 3.12 and has the locked packages;
`.venv` in the repository, if it was made from the current lock; a new `.venv`, which takes minutes.
Standard output is the path and nothing else: what a caller prints afterwards is a log.
Exit status: 1 if an installation failed or the disk is full, 2 if this machine lacks something else, 128 + N if
signal N stopped it.

This file needs only the standard library and Python 3.8: it runs before anything is installed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import importlib.util
import os
import platform
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, Sequence

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = ROOT / "pyproject.toml"
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
MARKER = VENV / "complete"
"""Written last. It holds the lock's digest and the Python version whose folder the packages lie in."""
DOWNLOADS = VENV / "downloads"
"""Temporary folder of pip, so that the progress shows what has arrived; removed at the end."""
GUARD = ROOT / ".venv.lock"
"""Locked while `.venv` is made. If this file exists, these scripts made `.venv` and may replace it."""

SUPPORTED = ((3, 11), (3, 12))
NEEDED_BYTES = 9 * 10**9
"""Free disk asked for: 6 GB stay in `.venv`, the rest is for pip's downloads (measured on Linux x86-64)."""
LINE_SECONDS = 10.0
"""Time between two lines of progress."""


class EnvironmentFault(Exception):
    """No Python can be used; `status` is the exit status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Stopped(Exception):
    """A signal came, or the shell that called this file is gone; `status` is the exit status."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.status = 128 + number


received: list[int] = []
"""Signals that came during an installation. Only `pause` acts on them, so none comes between starting an installer
and watching it."""


def main() -> int:
    """Print the interpreter's path, or one line on standard error; return the exit status."""
    try:
        print(choose_python())
    except EnvironmentFault as fault:
        print(f"error: {fault}", file=sys.stderr)
        return fault.status
    except (KeyboardInterrupt, Stopped) as stopped:
        say("stopped; run the same command to start the installation again")
        return stopped.status if isinstance(stopped, Stopped) else 130
    return 0


def choose_python() -> str:
    """Return the path of the Python to use; make its environment if need be."""
    supported = sys.version_info[:2] in SUPPORTED
    if supported and not missing_packages():
        return sys.executable
    if not is_complete():
        if not supported:
            run_under_supported_python()
        make_venv()
    return str(VENV_PYTHON)


def missing_packages() -> list[str]:
    """Return the direct dependencies, extras included, that this Python lacks in their locked version.

    Packages whose marker in pyproject.toml excludes this machine's processor are not asked for.
    The installed packages' metadata tells: importing torch would take seconds.
    """
    from importlib.metadata import PackageNotFoundError, version

    import tomllib  # new in 3.11; called only there

    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    locked = locked_packages()
    missing = []
    for requirement in sum(extras, start=project["dependencies"]):
        if f"platform_machine != '{platform.machine()}'" in requirement:
            continue
        name = re.split(r"[^\w.-]", requirement)[0].lower().replace("_", "-")
        try:
            installed = version(name).partition("+")[0]  # torch's build for the CPU is 2.11.0+cpu
        except PackageNotFoundError:
            installed = None
        if installed is None or installed != locked.get(name):
            missing.append(name)
    return missing


def locked_packages() -> dict[str, str]:
    """Return the version of each package, by name, that the lock has for this platform."""
    entries = re.findall(r"^([a-z0-9-]+)==([^\s;]+)([^\n]*)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    here = f"'{sys.platform}'"
    return {name: version for name, version, marker in entries if "sys_platform" not in marker or here in marker}


def is_complete() -> bool:
    """Return whether `.venv` was made completely from the current lock and its Python still runs."""
    try:
        return MARKER.read_text(encoding="utf-8") == marker_text(python_version(str(VENV_PYTHON)))
    except OSError:
        return False


def marker_text(version: tuple[int, ...] | None) -> str:
    """Return what MARKER holds for a `.venv` of this Python version."""
    return f"{hashlib.sha256(LOCK.read_bytes()).hexdigest()} {version}\n"


def python_version(command: str) -> tuple[int, ...] | None:
    """Return (major, minor) of a Python command; None if it does not run: a version manager's stub, a broken link."""
    question = [command, "-E", "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(question, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(int(number) for number in answer.split())


def run_under_supported_python() -> None:
    """Replace this process by a python3.12 or python3.11 from PATH that runs this file."""
    for command in ("python3.12", "python3.11"):
        if python_version(command) in SUPPORTED:
            os.execvp(command, [command, "-E", __file__])
    found = ".".join(str(number) for number in sys.version_info[:3])
    raise EnvironmentFault(
        2, f"Python 3.11 or 3.12 is needed, and {sys.executable} is {found}: install one, or set PYTHON to it"
    )


def make_venv() -> None:
    """Make `.venv` with this Python, unless another script makes it meanwhile.

    An unfinished or outdated `.venv` of these scripts is replaced; one that the user made is left alone.
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
        status = 1 if error.errno in (errno.ENOSPC, errno.EDQUOT) else 2
        raise EnvironmentFault(status, f"{VENV} cannot be made: {error}") from None


def lock(guard: IO[str]) -> None:
    """Wait until no other process makes `.venv`, then lock it until the last process that has the file open ends."""
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
    """Remove `.venv`, the marker first, so that a removal that is killed leaves nothing that looks whole."""
    if VENV.exists():
        if MARKER.exists():
            MARKER.unlink()
        shutil.rmtree(VENV)


def check_machine() -> None:
    """Raise EnvironmentFault if this machine cannot make `.venv`."""
    if importlib.util.find_spec("ensurepip") is None:
        raise EnvironmentFault(
            2, f"{sys.executable} cannot make virtual environments: install its venv package (Debian: python3-venv)"
        )
    free = shutil.disk_usage(ROOT).free
    if free < NEEDED_BYTES:
        raise EnvironmentFault(
            1, f"{ROOT}: {free / 1e9:.1f} GB of disk are free, {NEEDED_BYTES / 1e9:.0f} GB are needed to make .venv"
        )


def install(guard: IO[str]) -> None:
    """Make `.venv`, install the lock and this project into it, and write the marker."""
    start, version = time.monotonic(), sys.version_info[:2]
    say(f"making .venv with Python {version[0]}.{version[1]}: about 2 minutes and 6 GB of disk, once")
    if sys.platform == "linux" and not has_nvidia_driver():
        say(
            "no NVIDIA driver here: about 4 of the 6 GB are torch's CUDA libraries, which this machine will not use;"
            " they are installed because one lock serves all machines"
        )
    DOWNLOADS.mkdir(parents=True)
    run([sys.executable, "-I", "-m", "venv", str(VENV)], guard)
    install = [str(VENV_PYTHON), "-I", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    run([*install, "--require-hashes", "-r", str(LOCK)], guard)
    # The project itself, for the command deepspeech2. Editable: it is the checkout, not a copy.
    run([*install, "--no-deps", "--no-build-isolation", "--editable", str(ROOT)], guard)
    shutil.rmtree(DOWNLOADS)
    MARKER.write_text(marker_text(version), encoding="utf-8")
    say(f"made .venv in {time.monotonic() - start:.0f} seconds")


def has_nvidia_driver() -> bool:
    """Return whether this machine has NVIDIA's driver, without which no GPU can be used."""
    return Path("/proc/driver/nvidia").exists() or shutil.which("nvidia-smi") is not None


def progress() -> str:
    """Return a line on how many packages have been downloaded and installed."""
    locked, downloaded, installed, size = locked_packages(), 0, 0, 0
    for folder, folders, names in os.walk(VENV):
        installed += sum(is_locked(name.partition(".dist-info")[0], locked) for name in folders)
        for name in names:
            downloaded += name.endswith(".whl") and is_locked(name, locked)
            with suppress(OSError):  # a temporary file may be gone
                size += os.lstat(os.path.join(folder, name)).st_size
    arrived = max(downloaded, installed)  # pip installs a local wheel without copying it
    return f".venv: {arrived} of {len(locked)} packages downloaded, {installed} installed, {size / 1e9:.1f} GB"


def is_locked(name: str, locked: dict[str, str]) -> bool:
    """Return whether `name` begins with PACKAGE-VERSION of a locked package."""
    package, _, rest = name.partition("-")
    return locked.get(package.lower().replace("_", "-")) == rest.partition("-")[0]


def run(command: Sequence[str], guard: IO[str]) -> None:
    """Run an installer. Its output and lines of progress go to standard error.

    The installer inherits the lock, in case this process is killed. It gets its own session, so that it can be ended
    with all processes that it has started.
    """
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
            signal.signal(number, lambda number, _: received.append(number))
    with subprocess.Popen(
        command,
        stdout=sys.stderr,
        pass_fds=[guard.fileno()],
        env=dict(os.environ, TMPDIR=str(DOWNLOADS)),
        start_new_session=True,
        preexec_fn=end_with_parent,
    ) as installer:
        said = time.monotonic()
        try:
            while installer.poll() is None:
                pause()
                if time.monotonic() - said >= LINE_SECONDS:
                    say(progress())
                    said = time.monotonic()
        except Stopped:
            end(installer)
            raise
    if installer.returncode != 0:
        raise EnvironmentFault(1, f"{VENV} was not made: see the lines above; run the same command to start again")


def pause() -> None:
    """Wait 0.1 seconds. Raises Stopped after a signal, or if the calling shell is gone and nobody reads the answer."""
    answer = select.poll()
    answer.register(1, 0)
    if any(event & (select.POLLERR | select.POLLHUP) for _, event in answer.poll(100)):
        received.append(signal.SIGPIPE)
    if received:
        raise Stopped(received[0])


def end(installer: subprocess.Popen[bytes]) -> None:
    """End an installer and all that it has started. pip has five seconds to remove its downloads."""
    with suppress(ProcessLookupError):  # all of them have ended
        os.killpg(installer.pid, signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            installer.wait(5)
        os.killpg(installer.pid, signal.SIGKILL)


def end_with_parent() -> None:
    """Ask the system to interrupt the installer, which calls this before it starts, when this process dies."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        import ctypes  # not at the top: a Python that only hands over to a newer one may lack it

        ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG


def say(message: str) -> None:
    """Print a note for the user. Standard output is for the answer."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
