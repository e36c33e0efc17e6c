"""Tests that pyproject.toml, requirements.lock and the code agree, and that the lock names no package index."""

import ast
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from speech_recognition import __main__ as program
from speech_recognition.commands import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
ENTRIES = re.findall(r"^([a-z0-9-]+)==([^\s;]+)[^\n]*\\\n((?:    --hash=[^\n]+\n)+)", LOCK, re.MULTILINE)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def split(requirement: str) -> tuple[str, str, tuple[int, ...]]:
    """Return the name, the operator and the version of a requirement."""
    match = re.fullmatch(r"([\w.-]+?)(==|>=)([\d.]+)( ; .+)?", requirement)
    assert match is not None, f"{requirement}: write NAME==VERSION or NAME>=VERSION, and perhaps ' ; MARKER'"
    return normal(match[1]), match[2], numbers(match[3])


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def requirements(*extras: str) -> list[str]:
    """Return the direct dependencies with those of the given extras."""
    return [*PROJECT["dependencies"], *(line for extra in extras for line in PROJECT["optional-dependencies"][extra])]


def declared(*extras: str) -> set[str]:
    """Return the names of the direct dependencies with those of the given extras."""
    return {split(requirement)[0] for requirement in requirements(*extras)}


def test_the_citation_and_the_changelog_are_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    assert citation["authors"] == PROJECT["authors"]
    assert f"\nVersion {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_every_line_of_the_lock_has_hashes() -> None:
    pinned = re.findall(r"^[^\s#][^\n]*", LOCK, re.MULTILINE)
    assert len(pinned) == len(ENTRIES) > 50
    for name, _, hashes in ENTRIES:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", hashes), name


def test_the_lock_names_each_package_once() -> None:
    names = [name for name, _, _ in ENTRIES]
    assert len(names) == len(set(names)), "one version for both Pythons: the scripts compare with it"


def test_the_lock_tells_no_place() -> None:
    comments = "".join(re.findall(r"#.*", LOCK))
    assert "://" not in LOCK and "index" not in re.sub("--no-emit-index-url", "", LOCK)
    assert not re.search(r"(?<![\w.])/\w", comments)


def test_the_lock_is_for_both_pythons() -> None:
    assert "python_full_version" not in LOCK and "python_version" not in LOCK
    assert PROJECT["requires-python"] == ">=3.11,<3.13"


@pytest.mark.parametrize("requirement", requirements("mini", "inference", "tensorboard", "dev"))
def test_the_lock_has_what_is_asked(requirement: str) -> None:
    name, operator, asked = split(requirement)
    locked = numbers({name: version for name, version, _ in ENTRIES}[name])
    assert locked == asked if operator == "==" else locked >= asked


def test_the_pair_that_imports_together_is_pinned() -> None:
    pins = {split(line)[0]: split(line)[1:] for line in PROJECT["dependencies"]}
    assert pins["torch"] == pins["torchaudio"] == ("==", (2, 11, 0))
    assert pins["mlperf-logging"] == ("==", (4, 1, 68))


def imported(*paths: Path) -> set[str]:
    """Return the distributions that the files import from, without this project and the standard library."""
    modules: set[str] = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                modules |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                modules.add(node.module.partition(".")[0])
    own = {
        "params",
        "speech_recognition",
        "benchmarks",
        "tests",
        "script",
        "environment",
        *(path.stem for path in paths),
    }
    # python-levenshtein only depends on the distribution that has the module.
    distributions = packages_distributions() | {"Levenshtein": ["python-levenshtein"]}
    return {normal(distributions[module][0]) for module in modules - sys.stdlib_module_names - own - {"_ctypes"}}


def test_the_package_imports_what_is_declared_and_all_of_it() -> None:
    assert imported(ROOT / "params.py", *(ROOT / "speech_recognition").rglob("*.py")) == declared("mini", "inference")


def test_the_tests_import_what_is_declared() -> None:
    assert imported(*(ROOT / "tests").rglob("*.py")) <= declared("mini", "inference", "tensorboard", "dev")


def test_the_wheel_has_the_modules_and_their_data(tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(ROOT / "speech_recognition", source / "speech_recognition")
    for name in ("pyproject.toml", "params.py", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(ROOT / name, source / name)
    (source / "results").mkdir()
    build = "from setuptools.build_meta import build_wheel; build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True)
    (wheel,) = source.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    package = (ROOT / "speech_recognition").rglob("*.*")
    expected = {
        str(path.relative_to(ROOT)) for path in package if path.suffix in {".py", ".yaml", ".html", ".css", ".json"}
    }
    assert expected | {"params.py"} == {name for name in held if ".dist-info/" not in name}
    assert {Path(name).name for name in held if ".dist-info/" in name} >= {"LICENSE", "NOTICE", "METADATA"}


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment with a copy of the project, installed as script/environment.py does it."""
    source, venv = tmp_path_factory.mktemp("a checkout"), tmp_path_factory.mktemp("venv")
    shutil.copytree(ROOT / "speech_recognition", source / "speech_recognition")
    for name in ("pyproject.toml", "params.py", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(ROOT / name, source / name)
    there = {path.name for path in source.iterdir()}
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--editable", str(source)], env=with_our_packages(), check=True, capture_output=True)
    assert all(name.endswith(".egg-info") for name in {path.name for path in source.iterdir()} - there)
    return venv


def with_our_packages() -> dict[str, str]:
    """Return variables that let a different Python import this one's packages."""
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    return variables | {"PYTHONPATH": sysconfig.get_path("purelib")}


def test_the_installed_command_works_from_any_folder(venv: Path, tmp_path: Path) -> None:
    (tmp_path / "params.py").write_text("raise SystemExit('the wrong params.py')")
    command = [str(venv / "bin" / "deepspeech2")]
    for arguments, status, start in (
        (["--help"], 0, "usage: deepspeech2 [-h] COMMAND"),
        (["trian"], 2, "error: "),
        (["check-log", "gone.out"], 2, "error: gone.out: "),
    ):
        result = subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=with_our_packages(), capture_output=True, text=True, check=False
        )
        assert result.returncode == status and (result.stdout + result.stderr).startswith(start), result


def test_what_the_installed_command_starts_finds_no_module_of_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "")
    monkeypatch.setattr(program, "_run", lambda: 3)
    assert program.installed() == 3
    assert os.environ["PYTHONSAFEPATH"] == "1"


def test_the_licences_are_there() -> None:
    assert "Apache License\n                           Version 2.0" in (ROOT / "LICENSE").read_text()
    notice = (ROOT / "NOTICE").read_text()
    missing = {name for name in declared("mini", "inference", "tensorboard", "dev") if name not in notice.lower()}
    assert missing == set()
    assert "CC BY 4.0" in notice
