"""Tests of the shell entry points with the system's `sh`, in a copy of the repository whose path has a space."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT

FOLDERS = (".", "script", "docker")
SCRIPTS = sorted(str(path.relative_to(ROOT)) for folder in FOLDERS for path in (ROOT / folder).glob("*.sh"))
SECOND_NAMES = {"docker/build_image.sh": "docker/build-docker.sh", "docker/run_container.sh": "docker/run-dev.sh"}
ENTRY_POINTS = [name for name in SCRIPTS if name != "script/environment.sh"]
COMMANDS = ["run_and_time.sh", "download_dataset.sh", "verify_dataset.sh"]
RECORD = """\
printf '%s\\n' "$@" >"$RECORD"
printf '%s\\n' "$PWD" "$PYTHONPATH" "$PYTHONSAFEPATH" >"$RECORD.surroundings"
printf 'a line\\r\\n\\001'
echo note >&2
exit "${STATUS:-0}"
"""


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


class Copy:
    """Copy of the scripts, with a stand-in for Python that records its arguments, and the caller's folder."""

    def __init__(self, folder: Path) -> None:
        self.repo = folder / "a repository"
        self.caller = folder / "the caller"
        self.caller.mkdir()
        self.record = folder / "record"
        for name in SCRIPTS:
            (self.repo / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, self.repo / name)
        self.python = executable(folder / "fake python", RECORD)

    def run(self, name: str, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[bytes]":
        """Run a script in the caller's folder."""
        return subprocess.run(
            ["sh", str(self.repo / name), *arguments],
            cwd=self.caller,
            env={"PATH": "/usr/bin:/bin", "PYTHON": str(self.python), "RECORD": str(self.record)} | variables,
            capture_output=True,
            check=False,
        )

    def recorded(self) -> list[str]:
        """Return the arguments that the stand-in for Python got."""
        return self.record.read_text().splitlines()


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    return Copy(tmp_path)


@pytest.mark.parametrize("name", ENTRY_POINTS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help_needs_nothing(copy: Copy, name: str, option: str) -> None:
    result = copy.run(name, option, PYTHON="/nowhere/python")
    assert (result.returncode, result.stderr) == (0, b"")
    lines = result.stdout.decode().splitlines()
    assert lines[0].startswith(f"usage: sh {SECOND_NAMES.get(name, name)}")
    assert len(lines) > 2 and not any(line.startswith("#") or "ROOT" in line for line in lines)
    assert not copy.record.exists()


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_is_posix(name: str) -> None:
    subprocess.run(["sh", "-n", str(ROOT / name)], check=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["--preset", "reference", "--timed"]),
        (["mini"], ["--preset", "mini", "--timed"]),
        (["--seed", "7"], ["--preset", "reference", "--timed", "--seed", "7"]),
        (["mini", "--data-dir", "my data"], ["--preset", "mini", "--timed", "--data-dir", "my data"]),
        (["mini", "--help"], ["--preset", "mini", "--timed", "--help"]),
    ],
)
def test_run_and_time_trains_the_preset_timed(copy: Copy, arguments: list[str], expected: list[str]) -> None:
    assert copy.run("run_and_time.sh", *arguments).returncode == 0
    assert copy.recorded() == ["-m", "speech_recognition", "train", *expected]


def test_the_test_script_passes_its_arguments_and_options_on(copy: Copy) -> None:
    arguments = ["20", "libri", "-1", "1", "-1", "--output", "here/my table.csv"]
    assert copy.run("script/test.sh", *arguments).returncode == 0
    assert copy.recorded() == ["-m", "speech_recognition", "test", *arguments]


def test_the_test_script_needs_five_arguments_before_an_environment(copy: Copy) -> None:
    result = copy.run("script/test.sh", "20", "libri", "-1", "1", PYTHON="/nowhere/python")
    assert result.returncode == 2
    assert result.stderr.decode().splitlines() == [
        "error: five arguments are needed: sh script/test.sh EPOCH libri|mini HOLD_IDX HOLD_SEC N_TRIALS"
    ]


@pytest.mark.parametrize(("name", "command"), [("download_dataset.sh", "download"), ("verify_dataset.sh", "verify")])
def test_dataset_scripts_pass_everything_on(copy: Copy, name: str, command: str) -> None:
    copy.run(name, "mini", "--data-dir", "here/my data", "")
    assert copy.recorded() == ["-m", "speech_recognition", command, "mini", "--data-dir", "here/my data", ""]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("status", [0, 1, 2, 3, 143])
def test_status_and_output_are_pythons(copy: Copy, name: str, status: int) -> None:
    result = copy.run(name, "mini", STATUS=str(status))
    assert (result.returncode, result.stdout, result.stderr) == (status, b"a line\r\n\x01", b"note\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_callers_folder_stays_current(copy: Copy, name: str) -> None:
    copy.run(name, "mini")
    folder, path, safe = Path(f"{copy.record}.surroundings").read_text().splitlines()
    assert (folder, path, safe) == (str(copy.caller), str(copy.repo), "1")


def test_a_python_of_the_users_keeps_its_path(copy: Copy) -> None:
    copy.run("verify_dataset.sh", PYTHONPATH="/their/packages")
    assert Path(f"{copy.record}.surroundings").read_text().splitlines()[1] == f"{copy.repo}:/their/packages"


@pytest.mark.parametrize("name", [*COMMANDS, "run_tests.sh"])
def test_a_python_that_is_not_there_is_one_line(copy: Copy, name: str) -> None:
    result = copy.run(name, PYTHON="no/such python")
    assert result.returncode == 2
    assert result.stderr.decode().splitlines() == [
        "error: PYTHON is no/such python, which is not a command: set it to a Python 3.11 or 3.12, or unset it"
    ]


@pytest.mark.parametrize("name", [*COMMANDS, "run_tests.sh"])
def test_no_fitting_python_ends_every_script(copy: Copy, name: str) -> None:
    executable(copy.caller / "python3", '[ "$1" = -c ] || { echo "error: 3.8" >&2; exit 2; }')
    result = copy.run(name, PATH=f"{copy.caller}:/usr/bin:/bin", PYTHON="")
    assert (result.returncode, result.stdout, result.stderr) == (2, b"", b"error: 3.8\n")


def test_a_params_module_of_the_callers_is_not_ours(copy: Copy) -> None:
    (copy.caller / "params.py").write_text("raise SystemExit('the wrong params.py')")
    result = subprocess.run(
        ["sh", str(ROOT / "verify_dataset.sh"), "mini", "--help"],
        cwd=copy.caller,
        env={"PATH": "/usr/bin:/bin", "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "--data-dir" in result.stdout


@pytest.fixture
def checks(copy: Copy) -> Path:
    """Return a log to which stand-ins write each tool that run_tests.sh calls; FAIL names the tool that fails."""
    log, tools = copy.repo.parent / "log", copy.repo.parent / "tools"
    tools.mkdir()
    tell = f'echo "$*" >>"{log}"; case "$*" in "${{FAIL:-nothing}}"*) exit 4 ;; esac'
    executable(copy.python, f'[ "$1" != -c ] || {{ echo "{tools}"; exit; }}; shift; {tell}')
    for name in ("shellcheck", "hadolint"):
        executable(tools / name, f'set -- {name} "$@"; {tell}')
    return log


def calls(log: Path) -> list[str]:
    """Return the first two words of each logged call."""
    return [" ".join(line.split()[:2]) for line in log.read_text().splitlines()]


LINT = ["ruff check", "ruff format", "shellcheck --external-sources", "hadolint docker/Dockerfile", "mypy"]


QUICK = "pytest -m not slow --numprocesses auto --maxprocesses 8 --dist loadfile"


def test_run_tests_lints_then_runs_quick_tests_then_slow_ones(copy: Copy, checks: Path) -> None:
    assert copy.run("run_tests.sh").returncode == 0
    assert calls(checks) == [*LINT, "pytest -m", "pytest -m"]
    quick, slow = checks.read_text().splitlines()[-2:]
    assert (quick, slow) == (QUICK, "pytest -m slow and not image")
    linted = checks.read_text().splitlines()[2]
    assert all(name in linted for name in [*SCRIPTS, ".ci/run"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--quick"], QUICK),
        (["--quick", "-k", "manifest"], f"{QUICK} -k manifest"),
        (["tests/unit/test_model.py"], "pytest tests/unit/test_model.py"),
    ],
)
def test_run_tests_with_options_calls_pytest_once(
    copy: Copy, checks: Path, arguments: list[str], expected: str
) -> None:
    assert copy.run("run_tests.sh", *arguments).returncode == 0
    assert calls(checks)[:-1] == LINT
    assert checks.read_text().splitlines()[-1] == expected


@pytest.mark.parametrize(
    ("failing", "last"),
    [
        *((name, name) for name in LINT),
        ("pytest -m not slow", "pytest -m"),
        ("pytest -m slow", "pytest -m"),
    ],
)
def test_run_tests_stops_at_what_fails(copy: Copy, checks: Path, failing: str, last: str) -> None:
    assert copy.run("run_tests.sh", FAIL=failing).returncode == 4
    assert calls(checks)[-1] == last
    assert len(calls(checks)) == 1 + [*LINT, "pytest -m not slow", "pytest -m slow"].index(failing)


def test_lint_changes_what_check_only_finds(copy: Copy, checks: Path) -> None:
    assert copy.run("script/lint.sh").returncode == 0
    assert checks.read_text().splitlines() == ["ruff format .", "ruff check --fix ."]
    checks.unlink()
    assert copy.run("script/check.sh").returncode == 0
    assert calls(checks) == LINT and not any("--fix" in line for line in checks.read_text().splitlines())


def test_bench_runs_a_script_by_its_name_and_lists_them_without(copy: Copy) -> None:
    (copy.repo / "benchmarks").mkdir()
    (copy.repo / "benchmarks" / "speed.py").write_text('"""Speed of something."""\n')
    (copy.repo / "benchmarks" / "_others.py").write_text('"""Not a script."""\n')
    assert copy.run("script/bench.sh").stdout.decode().split(maxsplit=1)[0] == "speed"
    assert copy.run("script/bench.sh", "speed", "--steps", "5").returncode == 0
    assert copy.recorded() == [f"{copy.repo}/benchmarks/speed.py", "--steps", "5"]
    result = copy.run("script/bench.sh", "sped")
    assert result.returncode == 2 and b"sped: no such script" in result.stderr


@pytest.mark.parametrize("status", [0, 5])
def test_ci_runs_the_tests_and_nothing_else(tmp_path: Path, status: int) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copyfile(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    executable(tmp_path / "run_tests.sh", f'echo "called with $#"; exit {status}')
    result = subprocess.run(["bash", str(tmp_path / ".ci" / "run")], cwd="/", capture_output=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (status, b"called with 0\n", b"")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["new"], ["--preset", "reference"]),
        (["resume", "mini"], ["--preset", "mini", "--resume"]),
        (["7", "mini", "--seed", "1"], ["--preset", "mini", "--resume=7", "--seed", "1"]),
        (["new", "--set", "data.workers=0"], ["--preset", "reference", "--set", "data.workers=0"]),
    ],
)
def test_train_from_scratch_from_the_newest_or_from_an_epoch(
    copy: Copy, arguments: list[str], expected: list[str]
) -> None:
    assert copy.run("script/train.sh", *arguments).returncode == 0
    assert copy.recorded() == ["-m", "speech_recognition", "train", *expected]


@pytest.mark.parametrize(
    ("name", "arguments", "expected"),
    [
        ("script/profile.sh", [], ["torch", "--preset", "reference"]),
        ("script/profile.sh", ["ncu"], ["ncu", "--preset", "reference"]),
        ("script/profile.sh", ["mini", "--steps", "2"], ["torch", "--preset", "mini", "--steps", "2"]),
        ("script/profile.sh", ["nvprof", "mini"], ["nvprof", "--preset", "mini"]),
        (
            "run_nvprof.sh",
            ["mini", "--output-dir", "my profiles"],
            ["nsys", "--preset", "mini", "--output-dir", "my profiles"],
        ),
        ("run_nsight.sh", [], ["ncu", "--preset", "reference"]),
    ],
)
def test_profiles_are_of_the_tool_and_the_preset(
    copy: Copy, name: str, arguments: list[str], expected: list[str]
) -> None:
    assert copy.run(name, *arguments).returncode == 0
    assert copy.recorded() == ["-m", "speech_recognition", "profile", *expected]


@pytest.mark.parametrize("start", [[], [""], ["old"], ["-1"], ["7x"]])
def test_train_from_nowhere_is_refused_before_an_environment_is_made(copy: Copy, start: list[str]) -> None:
    result = copy.run("script/train.sh", *start, PYTHON="/nowhere/python")
    assert result.returncode == 2 and b"must be new, resume or the number of an epoch" in result.stderr
