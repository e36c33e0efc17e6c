"""Tests of the program's start: what it refuses before torch is loaded, and what it sets for the command."""

import ast
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from speech_recognition import __main__ as program
from speech_recognition.runtime import parenthood


@pytest.fixture(autouse=True)
def same_state_afterwards(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore the signal handlers, the hook and the variables that the program sets."""
    before = {number: signal.getsignal(number) for number in program.signals.SIGNALS}
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    for name in ("GOMP_SPINCOUNT", "TORCHELASTIC_RUN_ID", *program.ALLOCATION):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[list[str]], int]], None]:
    """Return a function that puts `main` in the place of the command line."""

    def replace(main: Callable[[list[str]], int]) -> None:
        monkeypatch.setitem(
            sys.modules, "speech_recognition.cli", SimpleNamespace(main=main, mend_streams=lambda: None)
        )

    return replace


@pytest.fixture
def missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the command line lack a package."""
    monkeypatch.setitem(sys.modules, "speech_recognition.cli", None)


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line with which the program refuses to run."""
    with pytest.raises(SystemExit) as ended:
        program._run()
    captured = capsys.readouterr()
    assert ended.value.code == 2 and captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize("version", [(3, 10, 4), (3, 13, 0)])
def test_a_python_of_a_different_version_is_refused_by_its_name(
    version: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr(sys, "version_info", (*version, "final", 0))
        runpy.run_path(str(program.__file__), run_name="the_program")
    assert ended.value.code == 2
    line = f"error: {sys.executable} is Python {version[0]}.{version[1]}, must be 3.11 or 3.12: set PYTHON to one of"
    assert capsys.readouterr().err == f"{line} these, or unset it, and the scripts find one\n"


def test_an_old_python_can_parse_the_file_that_refuses_it() -> None:
    ast.parse(Path(str(program.__file__)).read_text(), feature_version=(3, 7))


def test_a_missing_package_is_named_with_the_file_to_install(
    missing_package: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(program, "VENV", tmp_path)  # the tests may run in the scripts' own
    message = refusal(capsys)
    assert f"{sys.executable} lacks the package speech_recognition.cli: install" in message
    assert str(program.ROOT / "requirements.lock") in message


def test_an_environment_of_the_scripts_that_lacks_a_package_is_to_be_removed(
    missing_package: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "complete").touch()
    monkeypatch.setattr(program, "VENV", tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert f"lacks the package speech_recognition.cli: remove {tmp_path} and unset PYTHON" in refusal(capsys)


def test_the_command_gets_the_words_and_its_status_is_the_programs(
    command: Callable[[Callable[[list[str]], int]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "check-log", "a.out"])
    command(lambda arguments: 3 if arguments == ["check-log", "a.out"] else 1)
    assert program._run() == 3


def test_idle_threads_spin_briefly_unless_the_user_says_otherwise(
    command: Callable[[Callable[[list[str]], int]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    command(lambda _: int(os.environ["GOMP_SPINCOUNT"]))
    assert program._run() == 1000
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    assert program._run() == 5


@pytest.mark.parametrize(
    ("gpus", "own", "expected"),
    [
        (True, {}, ["expandable_segments:True", None]),
        (False, {}, [None, None]),
        (True, {"PYTORCH_CUDA_ALLOC_CONF": "backend:native"}, [None, "backend:native"]),
        (True, {"PYTORCH_ALLOC_CONF": ""}, ["", None]),
    ],
)
def test_a_gpus_memory_grows_in_segments_unless_the_user_chose(
    command: Callable[[Callable[[list[str]], int]], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    gpus: bool,
    own: dict[str, str],
    expected: list[str | None],
) -> None:
    monkeypatch.setattr(program, "GPUS", tmp_path if gpus else tmp_path / "none")
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    found: list[str | None] = []
    command(lambda _: found.extend(map(os.environ.get, program.ALLOCATION)) or 0)
    assert program._run() == 0
    assert found == expected


def test_a_process_of_torchrun_ends_with_it_and_others_do_not(
    command: Callable[[Callable[[list[str]], int]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    parents: list[int] = []
    monkeypatch.setattr(parenthood, "end_with_parent", parents.append)
    command(lambda _: 0)
    program._run()
    assert parents == []
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    program._run()
    assert parents == [os.getppid()]


def test_a_signal_after_the_command_has_its_default_action(
    command: Callable[[Callable[[list[str]], int]], None],
) -> None:
    command(lambda _: int(signal.getsignal(signal.SIGTERM) is signal.SIG_DFL))
    assert program._run() == 0, "while the command runs, the program handles it"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
