"""The command lines of nsys and ncu."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from speech_recognition.errors import InputError
from speech_recognition.profiling.launch import find, ncu_command, nsys_command, own_command


@pytest.mark.parametrize(("tool", "product"), [("nsys", "Nsight Systems"), ("ncu", "Nsight Compute")])
def test_a_missing_tool_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, tool: str, product: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=rf"^profile {tool}: .* install NVIDIA {product}.* or use profile torch"):
        find(tool)
    (tmp_path / tool).write_text("#!/bin/sh\n")
    (tmp_path / tool).chmod(0o755)
    assert find(tool) == str(tmp_path / tool)


def test_nsys_records_the_captured_range_alone_and_adds_the_ending_itself() -> None:
    command = nsys_command("/bin/nsys", Path("out/profile_1_bs_8.nsys-rep"), ["python", "-m", "x"])
    assert command[:2] == ["/bin/nsys", "profile"] and command[-3:] == ["python", "-m", "x"]
    assert {"--capture-range=cudaProfilerApi", "--output=out/profile_1_bs_8"} <= set(command)


def test_ncu_writes_the_metrics_that_the_reader_reads() -> None:
    command = ncu_command("/bin/ncu", Path("out/nsight_bs_8.csv"), ["python"])
    options = dict(itertools.pairwise(command))
    assert options["--log-file"] == "out/nsight_bs_8.csv" and options["--page"] == "raw" and command[-1] == "python"
    assert {"gpu__time_duration.sum", "sm__throughput.avg.pct_of_peak_sustained_elapsed"} < set(
        options["--metrics"].split(",")
    )
    assert options["--profile-from-start"] == "off" and {"--csv", "--nvtx"} <= set(command)


def test_the_new_command_replaces_this_process_with_its_status() -> None:
    script = (
        "from speech_recognition.profiling.launch import become; print('before'); become(['/bin/sh', '-c', 'exit 7'])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (7, "before\n", "")


def test_our_own_commands_run_with_this_python() -> None:
    assert own_command(["profile", "capture"]) == [sys.executable, "-m", "speech_recognition", "profile", "capture"]
