"""The command `profile`: recording a window, starting nsys and ncu, printing recordings."""

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from speech_recognition.cli import main
from speech_recognition.commands import profiling

SAMPLES = Path(__file__).parents[1] / "profiling" / "samples"
TINY = ["--set", "model.conv_channels=2", "--set", "model.rnn_units=8", "--set", "data.batch_size=4"]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KINETO_LOG_LEVEL", "5")  # the command sets it too; this takes it away again


def test_a_profile_of_torch_is_recorded_and_printed(
    tone_dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "profile",
        "--preset",
        "mini",
        "--data-dir",
        str(tone_dataset),
        "--output-dir",
        str(tmp_path / "out"),
        *TINY,
    ]
    assert main([*words, "--steps", "2", "--warm-up", "1", "--rows", "3"]) == 0
    first, head, *rest = capsys.readouterr().out.splitlines()
    trace, chart = sorted((tmp_path / "out").iterdir())
    assert trace.name.startswith("profile_2") and trace.name.endswith("_bs_4.json.gz")
    assert chart.name == trace.name.replace(".json.gz", "_layers.png")
    assert first.startswith(f"{trace}: open it in ") and "CPU operations; mini, batch 4, 2 steps of" in head
    assert any(line.endswith("others") for line in rest) and any(line.endswith("rnn.1") for line in rest)
    assert rest[-1] == f"chart: {chart}"


def test_without_the_presets_dataset_noise_is_trained_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(profiling, "ROOT", tmp_path)
    assert main(["profile", "torch", "--preset", "mini", "--steps", "1", "--warm-up", "1", *TINY]) == 0
    out, err = capsys.readouterr()
    assert f"note: {tmp_path / 'mini_dataset'} is not there: training on noise of 8 to 16 s" in err
    assert f"{tmp_path / 'results' / 'profiles'}" in out


def refusal(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Return the one line with which a command is refused."""
    assert main(["profile", *words]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["torch", "--data-dir", "/no/data"], "/no/data"),
        (["--preset", "mini", "nsight"], "write nsight before its options: profile nsight --preset NAME"),
        (["capture", "--device", "cpu"], "profile capture: needs a GPU, but the device is cpu; use profile torch"),
        (["torch", "--steps", "0"], "0: must be a whole number from 1 to 10000"),
        (["torch", "--preset", "maxi"], "preset 'maxi' is unknown"),
        (["perf"], "invalid choice: 'perf'"),
        (["parse"], "FILE"),
        (["parse", "/no/file.csv"], "/no/file.csv: No such file"),
        (["parse", __file__, "--output-dir", __file__], "is not a folder; choose a different path"),
    ],
)
def test_what_cannot_be_profiled_is_refused(capsys: pytest.CaptureFixture[str], words: list[str], fault: str) -> None:
    assert fault in refusal(capsys, *words)


@pytest.mark.parametrize("name", ["nsys", "nvprof", "ncu", "nsight"])
def test_a_profiler_that_is_not_installed_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "is not on PATH; install NVIDIA Nsight" in refusal(capsys, name, "--preset", "mini")


@pytest.mark.parametrize(("name", "tool", "steps"), [("nvprof", "nsys", "3"), ("ncu", "ncu", "1")])
def test_nsys_and_ncu_run_the_same_steps_in_a_process_of_theirs(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    tool: str,
    steps: str,
) -> None:
    executed: list[Sequence[str]] = []

    def execute(path: str, command: Sequence[str]) -> None:
        executed.append(command)
        raise SystemExit(0)  # nothing runs after it

    monkeypatch.setattr(os, "execv", execute)
    monkeypatch.setattr("speech_recognition.runtime.devices.choose_device", torch.device)
    (tmp_path / tool).write_text("#!/bin/sh\n")
    (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    words = [
        "--preset",
        "mini",
        "--device",
        "cuda:0",
        *TINY,
        "--data-dir",
        "my data",
        "--output-dir",
        str(tmp_path / "o"),
    ]
    with pytest.raises(SystemExit):
        main(["profile", name, *words])
    (command,) = executed
    assert command[0] == str(tmp_path / tool)
    own = command[command.index(sys.executable) :]
    assert own[1:5] == ["-m", "speech_recognition", "profile", "capture"]
    assert own[5:] == [
        *("--preset", "mini", "--device", "cuda:0"),
        *TINY,
        *("--data-dir", "my data", "--steps", steps, "--warm-up", "5"),
    ]
    expected = "profile_2" if tool == "nsys" else "nsight_bs_4.csv"
    assert f"{tool} writes {tmp_path / 'o' / expected}" in capsys.readouterr().err
    assert (tmp_path / "o").is_dir()


def test_recordings_of_both_formats_are_printed_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(SAMPLES, tmp_path, dirs_exist_ok=True)
    files = [str(tmp_path / "nsight_raw.csv"), str(tmp_path / "gpu_trace.json")]
    assert main(["profile", "parse", "--rows", "1", *files]) == 0
    out = capsys.readouterr().out
    assert "nsight_raw.csv: GPU kernels\n" in out and "gpu_trace.json: GPU kernels; reference, batch 128" in out
    assert "sm90_xmma_gemm_bf16" in out and "conv.0" in out
    for name in ("nsight_raw_layers.png", "gpu_trace_layers.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_charts_go_where_they_are_wanted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = str(SAMPLES / "nsight_details.csv")
    assert main(["profile", "parse", sample, "--output-dir", str(tmp_path / "new")]) == 0
    assert capsys.readouterr().out.endswith(f"chart: {tmp_path / 'new' / 'nsight_details_layers.png'}\n")
