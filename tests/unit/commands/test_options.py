"""Tests of the values of options: numbers within bounds, files to write."""

import argparse
from pathlib import Path

import pytest

from speech_recognition.commands.options import check_output, number, whole
from speech_recognition.errors import DiskFullError, InputError


def test_numbers_within_bounds_are_read() -> None:
    assert [whole(0, 12)(text) for text in ("0", "012")] == [0, 12]
    assert whole(0, 12, "all")("-1") is None
    assert [number(-1, 2.5)(text) for text in ("-1", "2.5", "1e-3")] == [-1, 2.5, 0.001]
    assert number(0, 9, above=True)("0.1") == 0.1


@pytest.mark.parametrize("text", ["-1", "13", "1.0", "", "x", "\u0663"])
def test_what_is_no_whole_number_within_bounds_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"must be a whole number from 0 to 12$"):
        whole(0, 12)(text)


@pytest.mark.parametrize("text", ["-0.1", "2.51", "nan", "inf", "", "x"])
def test_what_is_no_number_within_bounds_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=r"must be a number from 0 to 2\.5$"):
        number(0, 2.5)(text)
    with pytest.raises(argparse.ArgumentTypeError, match=r"0: must be a number above 0, at most 2\.5$"):
        number(0, 2.5, above=True)("0")


def test_an_output_that_cannot_be_written_is_named_with_its_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    check_output(Path("new") / "folder" / "table.csv")
    check_output(Path("file"))
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    with pytest.raises(InputError, match=f"--json {tmp_path}: not a regular file; name one"):
        check_output(tmp_path, "--json")
    with pytest.raises(InputError, match=f"--output {tmp_path}/file: .*/file is not a folder; choose a different path"):
        check_output(Path("file") / "table.csv")
    with pytest.raises(DiskFullError, match="--output"):
        check_output(Path("table.csv"), needed_bytes=10**18)
