"""A test that runs the README's walk-through in a shell, in a fresh copy of the repository."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from speech_recognition.commands import ROOT

pytestmark = pytest.mark.slow


def walk_through() -> list[str]:
    """Return the commands of the README's walk-through, in order."""
    section = (ROOT / "README.md").read_text().split("## The walk-through", 1)[1]
    return section.split("```sh\n", 1)[1].split("```", 1)[0].splitlines()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the repository without the scripts' products, whose `.venv` activates the tests' Python."""
    folder = tmp_path_factory.mktemp("clone") / "a copy"
    made = [".git", ".venv*", "results", "mini_dataset", "LibriSpeech_*", ".*_cache", "__pycache__", "*.out"]
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*made))
    activate = folder / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.write_text(f'PATH="{Path(sys.executable).parent}:$PATH"\n')
    return folder


def test_the_walk_through_reaches_the_target_and_passes_the_checker(copy: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    script = "set -eo pipefail\n" + "\n".join(
        f"{line}\necho 'done: {index}'" for index, line in enumerate(walk_through())
    )
    result = subprocess.run(
        ["bash", "-c", script], cwd=copy, env=environment | {"PYTHON": sys.executable}, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    assert "Dataset Checksum Passed." in result.stdout
    steps = re.split(r"^done: \d+\n", result.stdout, flags=re.MULTILINE)
    run, check = steps[2], steps[4]
    scored = next(step for step, line in zip(steps, walk_through(), strict=False) if "--output rows.csv" in line)
    assert (copy / "speech_ds2.out").read_text() == run == (copy / "results/walk/speech_ds2.out").read_text()
    assert run.splitlines()[-1] == "SUCCESS: the log passes the closed rules"
    assert check == "SUCCESS\n"
    assert "SUCCESS" in steps[5] + steps[6] + result.stderr
    with (copy / "results/walk/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert 2 <= len(rows) <= 10
    assert float(rows[-1]["wer"]) <= 23.0
    assert float(rows[0]["wer"]) > 50
    assert re.search(r"^all: WER \d+\.\d\d", scored, re.MULTILINE)
    assert len((copy / "rows.csv").read_text().splitlines()) == 181
