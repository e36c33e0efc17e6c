"""Tests that freed memory stays in the process, up to a bound."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from speech_recognition.commands import ROOT
from speech_recognition.runtime import allocator

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


GROWTH = """
import torch
from speech_recognition.runtime.allocator import KeptMemory, _resident, keep_memory
keep_memory()
kept_memory, small = KeptMemory(), []
kept_memory.after_batch()
blocks = []
for _ in range(100):
    blocks.append(torch.ones(2_500_000))  # 10 MB
    small.append(torch.ones(1000))  # stays, so that the freed blocks are holes that do not join
del blocks
before = _resident()
kept_memory.after_batch()
print(before - _resident())
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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's malloc")
def test_holes_between_blocks_in_use_are_returned() -> None:
    command = [sys.executable, "-c", GROWTH]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    assert int(result.stdout) > 900e6  # of 1 GB


def test_unused_memory_is_returned_when_the_process_has_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    resident, returned = 0, list[int]()
    monkeypatch.setattr(allocator, "_resident", lambda: resident)
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda _: SimpleNamespace(malloc_trim=returned.append))
    kept_memory = allocator.KeptMemory()
    steps = [(100, 0), (139, 0), (141, 1), (120, 1), (167, 1), (169, 2)]
    steps += [(110, 2), (159, 2), (161, 3)]  # 0.95 x 120 x 1.4 = 159.6
    steps += [(130, 3), (181, 3), (183, 4)]
    for resident, times in steps:
        kept_memory.after_batch()
        assert len(returned) == times, resident
