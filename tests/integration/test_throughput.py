"""Tests of benchmarks/throughput.py, on the CPU in tiny sizes: what the first hour on a GPU relies on."""

import importlib.metadata
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks._cards import peak
from benchmarks._steps import _ms, _times
from speech_recognition.commands import ROOT

TINY = ["--preset", "mini", "--units", "8", "--steps", "1", "--workers", "0", "--device", "cpu"]


def throughput(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "benchmarks" / "throughput.py"), *TINY, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_sweep_writes_a_row_for_each_size_and_goes_on_after_a_failure(tmp_path: Path) -> None:
    done = throughput("--sweep", "tf32:2", "fp32:1,2", "--json", str(tmp_path / "rows.jsonl"))
    assert done.returncode == 1, done.stderr
    failed, *rows = lines(tmp_path / "rows.jsonl")
    assert failed["precision"] == "tf32" and "tf32" in failed["error"]
    assert [(row["precision"], row["batch"]) for row in rows] == [("fp32", 1), ("fp32", 2)]
    for row in rows:
        assert row["audio_hours_per_hour"] > 0 and row["useful_tflops"] > 0
        assert row["cold_steps"] + row["warm_steps"] == 1
    assert rows[0]["padding_percent"] == 0 and rows[0]["padded_tflops"] == rows[0]["useful_tflops"]


def test_the_loader_and_the_layers_are_measured_alone(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    for options in (["--loader", "0"], ["--micro"]):
        done = throughput("--batch-size", "2", *options, "--json", str(file))
        assert done.returncode == 0, done.stderr
    loader, layers = lines(file)
    assert loader["workers"] == 0 and loader["mb_per_second"] > 0
    assert layers["gru_type"].startswith("torch.") and layers["one_call_ms"] > 0


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", 989.5),
        ("NVIDIA H100 PCIe", 756.0),
        ("NVIDIA A100-SXM4-80GB", 312.0),
        ("NVIDIA L40S", 362.0),
        ("NVIDIA A1000", 0.0),
        ("cpu", 0.0),
    ],
)
def test_a_card_is_known_by_its_name(card: str, expected: float) -> None:
    assert peak(card, "bf16") == expected


def test_steps_of_a_new_shape_are_cold_and_the_first_three_steps_do_not_count() -> None:
    found = _times([9, 9, 9, 1, 2, 3], [9, 9, 9, 0.5, 0, 0.1], 16_000 * 60, [32, 64, 32, 64, 96, 96])
    assert (found["cold_steps"], found["cold_ms_p50"]) == (1, 2000)
    assert (found["warm_steps"], found["warm_ms_p50"]) == (2, 3000)
    assert found["audio_hours_per_hour"] == 10 and found["waiting_percent"] == 10
    assert _ms([], 0.5) is None


def test_an_image_with_torch_needs_no_package_that_the_guide_does_not_name() -> None:
    """A GPU is lent for half an hour, often in an image without this project's packages and without a network."""
    guide = (ROOT / "docs" / "GPU.md").read_text(encoding="utf-8")
    named = {*guide.split("manylinux_2_28_x86_64 \\\n")[1].split("\n")[0].lower().split()}
    listing = "import json, sys, benchmarks.throughput; print(json.dumps([*{n.split('.')[0] for n in sys.modules}]))"
    result = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True)
    owners = importlib.metadata.packages_distributions()
    needed = {owner.lower() for module in json.loads(result.stdout) for owner in owners.get(module, [])}
    of_torch = {re.split(r"[^\w-]", each)[0] for each in importlib.metadata.requires("torch") or []}
    have = {"torch", "torchaudio", "numpy", "setuptools", "typing_extensions", *of_torch}
    assert {"pandas", "tqdm", "soundfile"} <= needed  # else the list of modules is not read
    assert not {each for each in needed - have - named if "speech" not in each}
