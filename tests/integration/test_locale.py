"""A test with a system encoding other than UTF-8 and with a user's own settings of matplotlib."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

from speech_recognition.commands import ROOT
from speech_recognition.corpus.manifest import read_manifest, write_manifest

TINY = ["training.epochs=1", "model.rnn_layers=1", "model.rnn_units=8", "model.conv_channels=2", "data.batch_size=8"]


def test_a_run_and_its_report_need_neither_utf8_nor_a_backend(tone_dataset: Path, tmp_path: Path) -> None:
    """Check that names with non-ASCII characters survive training, its tables and the page."""
    utterances = read_manifest(tone_dataset / "manifests" / "val.csv")
    foreign = [dataclasses.replace(each, id=f"é-{each.id}", speaker="ß", subset="dev-ü") for each in utterances]
    write_manifest(tmp_path / "val.csv", foreign)
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nbackend: module://canary\n")
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
        "LC_ALL": "C",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "MPLBACKEND": "nonsense",
    }
    command = [sys.executable, "-m", "speech_recognition", "train", "--preset", "mini", "--device", "cpu"]
    command += ["--data-dir", str(tone_dataset), "--val-manifest", "val.csv", "--output-dir", "run", "--timed"]
    command += [each for assignment in TINY for each in ("--set", assignment)]
    run = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, check=False, timeout=120)
    assert run.returncode == 3, run.stderr.decode()
    assert b"warning" not in run.stderr and (tmp_path / "run" / "curves.png").exists()
    assert "é-" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "é-" in (tmp_path / "run" / "utterances.csv").read_text(encoding="utf-8")
    assert "dev-ü" in (tmp_path / "run" / "speech_ds2.out").read_text(encoding="utf-8")
