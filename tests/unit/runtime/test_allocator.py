"""Tests that freed memory stays in the process."""

import subprocess
import sys

import pytest

from speech_recognition.commands import ROOT

SCRIPT = """
import resource, sys
import torch
from speech_recognition.runtime.allocator import keep_memory
if sys.argv[1] == "kept":
    keep_memory()
faults = []
for _ in range(40):
    torch.zeros(12_500_000)  # 50 MB
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[19])
"""


def faults(setting: str) -> int:
    """Return the number of page faults in the last twenty of forty allocations of 50 MB."""
    command = [sys.executable, "-c", SCRIPT, setting]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return int(result.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_memory_that_was_freed_comes_back_without_page_faults() -> None:
    """Not at once: malloc of glibc 2.36 wants a hole larger than an aligned block, which two holes make."""
    assert faults("kept") < faults("given back") / 2
