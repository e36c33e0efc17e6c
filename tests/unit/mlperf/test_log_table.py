"""Tests of reading a log's lines as a table."""

import math
from pathlib import Path
from typing import Any

import pytest

from speech_recognition.errors import InputError
from speech_recognition.mlperf.log_table import log_table


@pytest.fixture
def log(good_log: Any, tmp_path: Path) -> Path:
    path = tmp_path / "speech_ds2.out"
    path.write_text("rank 0: " + "\n".join(good_log(wers=(53.2, 20.5))) + "\n")
    return path


def test_every_mllog_line_is_a_row_and_no_other(log: Path, good_log: Any) -> None:
    table = log_table(log)
    records = good_log(wers=(53.2, 20.5)).records()
    assert table["key"].tolist() == [key for _, key, _ in records]
    assert table["line"].tolist() == [index + 1 for index, _, _ in records]
    assert {"time_ms", "seconds", "event_type", "value", "epoch_num", "samples_count", "status"} <= set(table.columns)


def test_the_curve_is_one_selection_away(log: Path) -> None:
    table = log_table(log)
    evaluations = table[table["key"] == "eval_accuracy"]
    assert evaluations["value"].tolist() == [53.2, 20.5]
    assert evaluations["epoch_num"].tolist() == [1, 2]
    assert table.loc[table["key"] == "run_stop", "status"].tolist() == ["success"]


def test_seconds_count_from_the_start_of_the_run(log: Path) -> None:
    table = log_table(log)
    start = table[table["key"] == "run_start"].iloc[0]
    assert start["seconds"] == 0
    assert table["seconds"].tolist() == [(time - start["time_ms"]) / 1000 for time in table["time_ms"]]


def test_a_log_that_ends_before_its_run_has_no_seconds(log: Path) -> None:
    log.write_text("".join(line for line in log.read_text().splitlines(True) if "run_start" not in line))
    assert all(math.isnan(each) for each in log_table(log)["seconds"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("just text\n", "no MLLOG lines"),
        (':::MLLOG {"key": "run_start"\n', "line 1: not an MLLOG line"),
        (':::MLLOG {"key": "run_start"}\n', "line 1: not an MLLOG line"),
        (":::MLLOG 5\n", "line 1: not an MLLOG line"),
    ],
)
def test_what_is_no_log_is_refused_by_name(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "log"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as refusal:
        log_table(path)
    assert str(path) in str(refusal.value)


def test_a_missing_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gone: No such file"):
        log_table(tmp_path / "gone")


def test_metadata_does_not_take_the_place_of_a_lines_own_columns(good_log: Any, tmp_path: Path) -> None:
    path = tmp_path / "log"
    odd = {"key": [], "time_ms": "never", "seconds": 1, "line": 0, "value": 0}
    path.write_text("\n".join(good_log().edited("run_start", metadata=odd)) + "\n")
    table = log_table(path)
    start = table[table["key"] == "run_start"].iloc[0]
    assert start["seconds"] == 0 and start["line"] > 1


def test_metadata_of_a_thousand_names_is_refused(good_log: Any, tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = [good_log().edited("seed", metadata={f"{number}_{each}": 0 for each in range(60)}) for number in range(20)]
    path.write_text("\n".join(line for each in lines for line in each if '"seed"' in line) + "\n")
    with pytest.raises(InputError, match="more than 1000 names in its metadata"):
        log_table(path)
